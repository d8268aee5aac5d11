//! What a reader meets first: that every public item is told in a sentence, and in words that are not a riddle.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::path::{Path, PathBuf};

/// The code whose words are checked. The contract has its docs checked by rustc as well.
const FOLDERS: [&str; 8] = [
    "shared/src",
    "shared/contract/src",
    "shared/pricing/src",
    "shared/upstash-redis-rs/src",
    "infra/local/src",
    "infra/local/tests",
    "infra/bench",
    "functions",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(under: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text.lines().map(str::to_owned).collect()));
        }
    }
    found
}

fn all() -> Vec<(PathBuf, Vec<String>)> {
    FOLDERS.iter().flat_map(|folder| sources(&repository().join(folder))).collect()
}

/// The first paragraph of the doc comment that begins at a line, if one does.
fn paragraph(lines: &[String], at: usize) -> Option<String> {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    if !is_doc(&lines[at]) || (at > 0 && is_doc(&lines[at - 1])) {
        return None;
    }
    let text = |line: &String| line.trim_start().trim_start_matches("///").trim().to_owned();
    let lines = lines[at..].iter().take_while(|line| is_doc(line)).map(text);
    Some(lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

/// The name of a public type or trait that a line declares. Functions and fields may explain themselves.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let kinds = ["struct ", "enum ", "trait ", "type "];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    Some(&rest[..rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())])
}

/// Invariant: what a public type is can be learnt without reading its body.
#[test]
fn every_public_type_has_a_doc_comment() {
    let mut checked = 0;
    for (path, lines) in all() {
        let tests = lines.iter().position(|line| line == "#[cfg(test)]").unwrap_or(lines.len());
        for (number, line) in lines[..tests].iter().enumerate() {
            let Some(name) = public_type(line) else { continue };
            // Attributes stand between the comment and the item; those of several lines end in a bracket.
            let above = lines[..number].iter().rev().map(|line| line.trim());
            let mut above = above.skip_while(|line| line.starts_with("#[") || line.ends_with(")]"));
            let is_told = above.next().is_some_and(|line| line.starts_with("///"));
            let in_macro = line.contains('$');
            assert!(is_told || in_macro, "{}:{}: `{name}` has no doc comment", path.display(), number + 1);
            checked += 1;
        }
    }
    assert!(checked > 300, "the check reads what it should: {checked}");
}

/// Invariant: a doc comment begins with a sentence and not with a word.
#[test]
fn every_doc_comment_begins_with_a_sentence() {
    let (mut checked, mut findings) = (0, Vec::new());
    // The comments of a command line are its help, which is written without full stops.
    for (path, lines) in all().into_iter().filter(|(path, _)| !path.ends_with("infra/local/src/main.rs")) {
        for number in 0..lines.len() {
            let Some(text) = paragraph(&lines, number) else { continue };
            // A route, a media type and a reference say all there is to say.
            if text.starts_with(['`', '[', '#']) || text.starts_with("See [") {
                continue;
            }
            let words = text.split(' ').count();
            let place = format!("{}:{}", path.display(), number + 1);
            if words < 2 || !text.ends_with(['.', ':', '`', ')', '|']) {
                findings.push(format!("{place}: `{text}`"));
            }
            checked += 1;
        }
    }
    assert!(checked > 1_000, "the check reads what it should: {checked}");
    assert!(findings.is_empty(), "no whole sentences:\n{}", findings.join("\n"));
}

/// Invariant: a number in a comment is "this many" or "at most", which a reader can follow, and never "so many".
#[test]
fn no_comment_speaks_of_so_many() {
    let mut findings = Vec::new();
    for (path, lines) in all() {
        for (number, line) in lines.iter().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            let lower = comment.to_lowercase();
            for phrase in ["so many", "so much", "so often", "so long"] {
                let is_plain = |rest: &str| rest.starts_with(" as ") || rest.starts_with(" that");
                let riddle = lower.split(phrase).skip(1).any(|rest| !is_plain(rest));
                if riddle {
                    findings.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(findings.is_empty(), "riddles:\n{}", findings.join("\n"));
}

/// Invariant: a file says in its first line what is in it.
#[test]
fn every_file_begins_with_what_is_in_it() {
    for (path, lines) in all() {
        let first = lines.first().map_or("", String::as_str);
        assert!(first.starts_with("//! ") && first.split(' ').count() > 3, "{}: {first}", path.display());
    }
}
