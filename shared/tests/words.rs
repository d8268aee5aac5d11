//! What a reader meets first: that every public item is told in a sentence, and in words that are not a riddle.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::path::{Path, PathBuf};

/// The code whose words are checked. The contract has its docs checked by rustc as well.
const FOLDERS: [&str; 6] = [
    "shared/src",
    "shared/contract/src",
    "shared/pricing/src",
    "shared/upstash-redis-rs/src",
    "infra/local/src",
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

/// The name of a public type, trait or function that a line declares, except those whose meaning is always the same.
fn public_item(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let rest = ["const ", "async "].iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let kinds = ["struct ", "enum ", "trait ", "type ", "fn "];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let name = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())];
    (!matches!(name, "new" | "connect")).then_some(name)
}

/// Invariant: what a public item is can be learnt without reading its body.
#[test]
fn every_public_item_has_a_doc_comment() {
    let mut checked = 0;
    for (path, lines) in all() {
        let tests = lines.iter().position(|line| line == "#[cfg(test)]").unwrap_or(lines.len());
        for (number, line) in lines[..tests].iter().enumerate() {
            let Some(name) = public_item(line) else { continue };
            // Attributes stand between the comment and the item; those of several lines end in a bracket.
            let above = lines[..number].iter().rev().map(|line| line.trim());
            let mut above = above.skip_while(|line| line.starts_with("#[") || line.ends_with(")]"));
            let is_told = above.next().is_some_and(|line| line.starts_with("///"));
            let in_macro = line.contains('$');
            assert!(is_told || in_macro, "{}:{}: `{name}` has no doc comment", path.display(), number + 1);
            checked += 1;
        }
    }
    assert!(checked > 500, "the check reads what it should: {checked}");
}

/// Invariant: a doc comment begins with a sentence and not with a word.
#[test]
fn every_doc_comment_begins_with_a_sentence() {
    let mut checked = 0;
    for (path, lines) in all() {
        for number in 0..lines.len() {
            let Some(text) = paragraph(&lines, number) else { continue };
            // A route, a media type and a reference say all there is to say.
            if text.starts_with('`') || text.starts_with("See [") || text.starts_with('[') {
                continue;
            }
            let words = text.split(' ').count();
            let place = format!("{}:{}", path.display(), number + 1);
            assert!(words >= 3, "{place}: `{text}` tells nobody what it is");
            assert!(text.ends_with(['.', ':', '`', ')', '|']), "{place}: `{text}` is no whole sentence");
            checked += 1;
        }
    }
    assert!(checked > 1_000, "the check reads what it should: {checked}");
}

/// Invariant: a number in a comment is "this many" or "at most", which a reader can follow, and never "so many".
#[test]
fn no_comment_speaks_of_so_many() {
    for (path, lines) in all() {
        for (number, line) in lines.iter().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            let lower = comment.to_lowercase();
            for phrase in ["so many", "so much", "so often", "so long"] {
                let riddle = lower.split(phrase).skip(1).any(|rest| !rest.trim_start().starts_with("as "));
                assert!(!riddle, "{}:{}: {}", path.display(), number + 1, line.trim());
            }
        }
    }
}

/// Invariant: a file says in its first line what is in it.
#[test]
fn every_file_begins_with_what_is_in_it() {
    for (path, lines) in all() {
        let first = lines.first().map_or("", String::as_str);
        assert!(first.starts_with("//! ") && first.split(' ').count() > 3, "{}: {first}", path.display());
    }
}
