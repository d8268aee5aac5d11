//! The frames: ways to come at a subject. Slots are `{topic} {task} {mistake} {tool} {result} {myth} {people}`;
//! `people` is the audience of the profile.

use crate::contract::content_ideas::Effort::{self, High, Low, Medium};
use crate::contract::content_ideas::Format::{self, Carousel, Live, Post, Reel, Story, Thread, Video};
use crate::contract::creators::Goal::{self, Engage, Grow, Monetise, Retain};

/// One way to come at a subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub angle: &'static str,
    pub title: &'static str,
    pub hook: &'static str,
    pub outline: &'static [&'static str],
    pub formats: &'static [Format],
    pub goals: &'static [Goal],
    pub effort: Effort,
}

const fn frame(
    angle: &'static str,
    title: &'static str,
    hook: &'static str,
    outline: &'static [&'static str],
    formats: &'static [Format],
    goals: &'static [Goal],
    effort: Effort,
) -> Frame {
    Frame { angle, title, hook, outline, formats, goals, effort }
}

#[rustfmt::skip]
pub(super) const FRAMES: [Frame; 42] = [
    frame("myth", "They say {myth}: a test", "They say {myth}. I tried it.", &["State the myth in one sentence", "Show the test from start to finish", "Show both outcomes side by side", "Say when the myth is half true"], &[Reel, Video, Carousel], &[Grow, Engage], Medium),
    frame("myth", "Where the idea that {myth} comes from", "You have heard that {myth}. Here is where that started.", &["The version everyone repeats", "The grain of truth in it", "What to do instead"], &[Carousel, Thread, Post], &[Grow], Low),
    frame("mistake", "What {mistake} really costs", "If it never turns out right, look here first: {mistake}.", &["Show the mistake as it usually happens", "Show the moment it goes wrong", "Do it again without the mistake", "One sentence to remember"], &[Reel, Video, Carousel], &[Grow, Engage], Low),
    frame("mistake", "I kept {mistake} for years", "It took me far too long to stop {mistake}.", &["How it started", "The day I noticed", "What changed the week after"], &[Post, Carousel, Video], &[Engage, Retain], Low),
    frame("tutorial", "How to {task}, step by step", "You can {task} by tonight.", &["What you need, on one screen", "The first step, slowly", "The step most people rush", "The finished result"], &[Reel, Video, Carousel], &[Grow], Medium),
    frame("tutorial", "How to {task} in sixty seconds", "One minute. That is all you need to {task}.", &["Start the clock on screen", "Three cuts, one per step", "Stop the clock at the result"], &[Reel, Story], &[Grow, Engage], Medium),
    frame("beginner", "Your first day with {topic}", "Nobody told me this on my first day with {topic}.", &["The one thing to ignore", "The one thing to get right", "What to do tomorrow"], &[Carousel, Reel, Post], &[Grow], Low),
    frame("beginner", "The three words you need to understand {topic}", "Three words that open the door to {topic}.", &["Word one with an example", "Word two with an example", "Word three with an example"], &[Carousel, Thread], &[Grow, Retain], Low),
    frame("challenge", "Seven days of {topic}", "Seven days, one rule: {topic}, every day.", &["The rule and why you chose it", "One clip a day", "The day you nearly stopped", "What stays after the week"], &[Story, Reel, Video], &[Engage, Retain], High),
    frame("challenge", "Only {tool} for a whole week", "For one week I use nothing but {tool}.", &["Why this limit", "The first problem it made", "The best surprise", "Would I do it again"], &[Reel, Video], &[Engage], High),
    frame("list", "Five things about {topic} I wish I had known", "Number four about {topic} would have saved me months.", &["Five short points, one per slide", "The mistake behind each", "Which one to start with"], &[Carousel, Thread, Reel], &[Grow], Low),
    frame("list", "Three uses for {tool} nobody mentions", "You own {tool}. You use a third of it.", &["The use everyone knows, in one second", "Three uses shown in full", "Which one surprised you"], &[Reel, Carousel], &[Grow, Engage], Low),
    frame("list", "A checklist for {people} who want to {task}", "Save this before you try to {task}.", &["What to prepare", "What to do, in order", "How to tell that it worked"], &[Carousel, Post], &[Retain, Grow], Low),
    frame("before-after", "Before and after: {result}", "Same start, one change: {result}.", &["Before, without comment", "The single change", "After, from the same angle"], &[Reel, Carousel], &[Grow], Medium),
    frame("before-after", "One month later: what {topic} changed", "A month ago I began with {topic}. Here is the honest result.", &["The starting point", "Week by week in one clip each", "What did not change"], &[Video, Carousel], &[Retain, Engage], High),
    frame("behind-the-scenes", "What you do not see when I {task}", "The part I usually cut out.", &["The set-up nobody sees", "What went wrong today", "How it ends up looking easy"], &[Story, Reel], &[Engage, Retain], Low),
    frame("behind-the-scenes", "My real week with {topic}", "No highlights: a real week with {topic}.", &["Monday's plan", "Wednesday's mess", "Sunday's result"], &[Video, Story], &[Retain], Medium),
    frame("comparison", "{tool} or doing without it", "Do you really need {tool}?", &["The same job with it", "The same job without it", "When it is worth having"], &[Reel, Video, Carousel], &[Grow, Monetise], Medium),
    frame("comparison", "The quick way and the right way to {task}", "Two ways to {task}. One of them you will regret.", &["The quick way, timed", "The right way, timed", "When quick is good enough"], &[Reel, Carousel], &[Grow], Medium),
    frame("question", "Ask me anything about {topic}", "Your questions about {topic}, answered one by one.", &["Collect questions for a day", "Answer the three most asked", "Pass the hardest one to the comments"], &[Story, Live], &[Engage, Retain], Low),
    frame("question", "What stops you from {result}?", "Be honest: what stands between you and {result}?", &["Your own answer first", "A poll with three obstacles", "A tip for each of them tomorrow"], &[Story, Post], &[Engage], Low),
    frame("opinion", "An unpopular opinion about {topic}", "I will say it: we make {topic} too complicated.", &["The opinion in one sentence", "Two reasons", "The best argument against it"], &[Post, Thread, Reel], &[Engage], Low),
    frame("opinion", "Why I stopped recommending {tool}", "I used to tell everyone to get {tool}.", &["Why I liked it", "What changed my mind", "Who should still have it"], &[Reel, Post], &[Engage, Monetise], Low),
    frame("story", "The day I learned to {task}", "I still remember the day I learned to {task}.", &["Where it happened", "Who showed me", "What I pass on to you"], &[Post, Carousel, Video], &[Retain, Engage], Low),
    frame("story", "A failure with {topic} that taught me most", "This went wrong in front of everyone.", &["What I wanted", "What happened", "What I do since"], &[Reel, Post], &[Retain], Low),
    frame("reply", "Replying to the comment that {myth}", "Somebody wrote that {myth}. Fair question.", &["Show the comment", "Where they are right", "Where it is more complicated"], &[Reel, Video], &[Engage], Low),
    frame("swap", "Stop {mistake}, try this", "Every time you catch yourself {mistake}, do this.", &["Name the habit", "Show the swap", "Set a reminder for tomorrow"], &[Reel, Carousel, Story], &[Grow, Retain], Low),
    frame("budget", "{result} without spending anything", "No shopping needed: {result}.", &["What you already have", "How to use it", "What it replaces"], &[Reel, Carousel], &[Grow], Medium),
    frame("budget", "What I would buy first for {topic}, and what last", "Starting with {topic}? Buy in this order.", &["The one thing to buy first", "What can wait", "What I never needed"], &[Carousel, Reel], &[Monetise, Grow], Low),
    frame("deep-dive", "Everything about {topic} in ten slides", "The guide to {topic} I wanted when I began.", &["The big picture", "Five details that matter", "Common questions", "Where to go next"], &[Carousel, Video, Thread], &[Retain, Monetise], High),
    frame("science", "Why it works: {tool}", "Ever wondered what {tool} actually does?", &["What you see", "What happens behind it", "How to use that knowledge"], &[Reel, Video], &[Grow], Medium),
    frame("community", "Your best tips on how to {task}", "You sent me better tips than mine.", &["Pick three tips from followers", "Try each on camera", "Name the winner with thanks"], &[Reel, Story, Carousel], &[Engage, Retain], Medium),
    frame("community", "Show me your {topic}", "Share yours and I will show my favourites.", &["Your own example first", "How to take part", "When you show the answers"], &[Story, Post], &[Engage], Low),
    frame("duo", "I teach a beginner to {task}", "She has never done this before. I give her ten minutes.", &["Meet the beginner", "The first try", "The one correction that helped", "The result"], &[Video, Reel], &[Engage, Grow], High),
    frame("routine", "My ten-minute routine for {topic}", "Ten minutes a day for {topic}. No more.", &["Minute one to three", "Minute four to eight", "The last two minutes"], &[Reel, Carousel], &[Retain, Grow], Low),
    frame("teaser", "Something about {topic} is coming", "I have worked on this for weeks, and it is about {topic}.", &["One detail, without the whole", "The question it answers", "The date to come back"], &[Story, Post], &[Monetise, Retain], Low),
    frame("offer", "What you get when I help you to {task}", "You asked how we can work together on this.", &["Who it is for", "What happens, step by step", "How to ask for it"], &[Carousel, Story], &[Monetise], Medium),
    frame("proof", "How one of you got to {result}", "This message made my week.", &["Where they started", "What they changed", "Their words, with permission"], &[Carousel, Story, Reel], &[Monetise, Retain], Medium),
    frame("recap", "The month in {topic}: what worked", "The three things that worked this month.", &["What I tried", "What worked, with the number", "What I drop next month"], &[Carousel, Thread, Post], &[Retain], Low),
    frame("save-for-later", "The only guide to {topic} you need to save", "Save this. You will look for it again.", &["The situation it is for", "The steps on one slide", "The mistake to avoid: {mistake}"], &[Carousel, Reel], &[Grow, Retain], Low),
    frame("live", "Live: we {task} together", "Come with your questions, we {task} together.", &["What to bring", "The first half: do it with me", "The second half: your questions"], &[Live], &[Engage, Monetise], Medium),
    frame("contrast", "{topic}: what {people} expect, and what they find", "Expectation, then reality.", &["The expectation, exaggerated", "The reality, unpolished", "Why the reality is better"], &[Reel, Story], &[Engage, Grow], Low),
];
