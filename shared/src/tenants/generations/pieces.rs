//! The content of a generation, in pieces that each fit an item of the table.

use serde::{Deserialize, Serialize};

use crate::dynamo::{Dynamo, DynamoError, ItemKey, Query, Write};

/// How many bytes of content one item holds, out of the 400 KB that an item may have. DynamoDB does not count the
/// escapes that JSON inside JSON needs on the way.
const PIECE_BYTES: usize = 300 * 1024;
/// What the sort keys of the pieces begin with; the number of the piece follows.
const PREFIX: &str = "P#";

/// A piece of a generation's content, which is JSON only together with the others.
#[derive(Serialize, Deserialize)]
struct ContentPiece {
    json: String,
    /// How many pieces there are. Behind them may lie pieces of a longer content that this one replaced. Items of
    /// earlier versions of the code do not have it.
    of: Option<usize>,
    ttl: u64,
}

/// The writes of a content's pieces into their partition.
pub(super) fn writes(partition: &str, json: &str, ttl: u64) -> Result<Vec<Write>, DynamoError> {
    let pieces = split(json);
    let of = Some(pieces.len());
    let write = |(number, json): (usize, String)| {
        let key = ItemKey::tenant(partition, format!("{PREFIX}{number:03}"));
        Write::put(key, &ContentPiece { json, of, ttl })
    };
    pieces.into_iter().enumerate().map(write).collect()
}

/// Reads a content from its partition; `None` if there is none.
pub(super) async fn read(dynamo: &Dynamo, partition: &str) -> Result<Option<String>, DynamoError> {
    Ok(join(dynamo.all(Query::tenant(partition).beginning(PREFIX)).await?))
}

fn join(pieces: Vec<ContentPiece>) -> Option<String> {
    let of = pieces.first()?.of.unwrap_or(pieces.len());
    (pieces.len() >= of).then(|| pieces.into_iter().take(of).map(|piece| piece.json).collect())
}

/// Cuts a text between characters into pieces that fit an item.
pub(in crate::tenants) fn split(json: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = json;
    while rest.len() > PIECE_BYTES {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces.push(rest.to_owned());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> Vec<ContentPiece> {
        let pieces = split(json);
        let of = Some(pieces.len());
        pieces.into_iter().map(|json| ContentPiece { json, of, ttl: 0 }).collect()
    }

    #[test]
    fn content_of_any_size_comes_back_whole() {
        for text in [String::new(), "\u{e9}".repeat(10), "a\u{e9}\u{1f980}".repeat(PIECE_BYTES / 3)] {
            let pieces = split(&text);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            assert_eq!(join(stored(&text)), Some(text));
        }
    }

    #[test]
    fn what_a_longer_content_left_behind_is_not_read() {
        let mut pieces = stored("short");
        pieces.extend(stored(&"x".repeat(PIECE_BYTES * 2)).into_iter().skip(1));
        assert_eq!(join(pieces).as_deref(), Some("short"));
    }

    #[test]
    fn content_of_which_a_piece_is_missing_is_no_content() {
        let mut pieces = stored(&"x".repeat(PIECE_BYTES * 2));
        pieces.pop();
        assert_eq!(join(pieces), None);
        assert_eq!(join(Vec::new()), None);
    }
}
