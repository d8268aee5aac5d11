//! Reads the records of an import, one on each line, from JSON Lines or CSV.

use serde::de::DeserializeOwned;

use crate::contract::lines::{FailedLine, LineFormat, Lines};

/// How many records one call may have, whatever its size in bytes.
const RECORDS_MAX: usize = 5_000;

/// A record that can be imported.
pub trait ImportRecord: DeserializeOwned {
    /// The columns that a CSV must have.
    const REQUIRED_COLUMNS: &'static [&'static str];
    /// The columns of a CSV that hold whole numbers. An empty field in them means that the record has no such number.
    const NUMBER_COLUMNS: &'static [&'static str];

    /// Checks what the type of a single member cannot: whether the members go together.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the caller.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The records of an import, and the lines that could not be read. Both are in the order of the lines.
#[derive(Debug)]
pub struct ImportLines<T> {
    pub records: Vec<T>,
    pub failed: Vec<FailedLine>,
}

/// Reads the records of an import. A line that is wrong is noted, and the others are read.
///
/// # Errors
/// Why nothing can be imported, as a sentence for the caller: a required column is missing, or there are too many
/// records.
pub fn read<T: ImportRecord>(lines: &Lines) -> Result<ImportLines<T>, String> {
    match lines.format {
        LineFormat::JsonLines => json_lines(&lines.text),
        LineFormat::Csv => csv(&lines.text),
    }
}

impl<T: ImportRecord> ImportLines<T> {
    const fn nothing() -> Self {
        Self { records: Vec::new(), failed: Vec::new() }
    }

    /// Adds the record of a line, or the reason why it is none.
    fn push(&mut self, line: u64, record: Result<T, String>) -> Result<(), String> {
        match record.and_then(|record| record.check().map(|()| record)) {
            Ok(record) => self.records.push(record),
            Err(message) => self.failed.push(FailedLine { line, message }),
        }
        if self.records.len() + self.failed.len() > RECORDS_MAX {
            return Err(format!("has more than {RECORDS_MAX} records; send the rest in further calls"));
        }
        Ok(())
    }
}

fn json_lines<T: ImportRecord>(text: &str) -> Result<ImportLines<T>, String> {
    let mut read = ImportLines::nothing();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut parser = serde_json::Deserializer::from_str(line);
        let record = serde_path_to_error::deserialize(&mut parser).map_err(|error| message_of(&error));
        let record = record.and_then(|record| match parser.end() {
            Ok(()) => Ok(record),
            Err(_) => Err("has something after the record".to_owned()),
        });
        read.push(number as u64 + 1, record)?;
    }
    Ok(read)
}

/// The message of the parser without its position, which the number of the line replaces, but with the name of the
/// member.
fn message_of(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match error.path().to_string().as_str() {
        "." => message.to_owned(),
        path => format!("`{path}`: {message}"),
    }
}

fn csv<T: ImportRecord>(text: &str) -> Result<ImportLines<T>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let header =
        reader.headers().map_err(|error| format!("has no header that can be read: {error}"))?.clone();
    for required in T::REQUIRED_COLUMNS {
        if !header.iter().any(|column| column == *required) {
            return Err(format!("has no column `{required}` in its header"));
        }
    }
    // With two columns of one name, the values of one of them would be lost without a word.
    if let Some(twice) =
        header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|n| n == *name))
    {
        return Err(format!("has the column `{}` twice in its header", twice.1));
    }
    let mut read = ImportLines::nothing();
    let mut record = csv::StringRecord::new();
    let mut lines = LineCounter { bytes: text.as_bytes(), at: 0, line: 1 };
    loop {
        let end = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(read),
            Ok(true) => {
                let begin = record.position().map_or(end, csv::Position::byte);
                read.push(lines.of_record(begin), record_of(&header, &record))?;
            }
            Err(error) => {
                let begin = error.position().map_or(end, csv::Position::byte);
                read.push(lines.of_record(begin), Err(csv_message_of(&error)))?;
            }
        }
    }
}

/// Counts the lines of a CSV from record to record. The reader's own count is that before the rest of the last line's
/// end and before empty lines.
struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    /// The number of the line in which the record begins that the reader places at this byte, counted from 1.
    fn of_record(&mut self, begin: u64) -> u64 {
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        while let Some(&byte) = self.bytes.get(self.at) {
            let is_end = matches!(byte, b'\r' | b'\n');
            if self.at >= begin && !is_end {
                break;
            }
            // `\r\n` is one end of a line.
            let is_first_of_two = byte == b'\r' && self.bytes.get(self.at + 1) == Some(&b'\n');
            self.line += u64::from(is_end && !is_first_of_two);
            self.at += 1;
        }
        self.line
    }
}

/// Reads one record of a CSV. It is made into JSON first, so that both formats have the same rules.
fn record_of<T: ImportRecord>(header: &csv::StringRecord, record: &csv::StringRecord) -> Result<T, String> {
    let mut members = serde_json::Map::new();
    for (name, value) in header.iter().zip(record) {
        let is_number = T::NUMBER_COLUMNS.contains(&name);
        if is_number && value.is_empty() {
            continue;
        }
        let value = if is_number {
            let number = value.trim().parse::<i64>();
            number.map_err(|_| format!("`{name}` must be a whole number, is `{value}`"))?.into()
        } else {
            value.into()
        };
        members.insert(name.to_owned(), value);
    }
    serde_path_to_error::deserialize(serde_json::Value::from(members)).map_err(|error| message_of(&error))
}

/// The message of the CSV reader, with advice where it only counts fields.
fn csv_message_of(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header has {expected_len}; is a quote or comma missing?")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::posts::Post;

    /// The numbers of the failed lines of a CSV with a header, in which `bad` is a record of too few fields.
    fn failed(text: &str) -> Vec<u64> {
        let lines = Lines { format: LineFormat::Csv, text: text.to_owned() };
        let read = read::<Post>(&lines).unwrap();
        read.failed.iter().map(|failed| failed.line).collect()
    }

    #[test]
    fn a_column_that_is_there_twice_is_refused_because_one_of_them_would_be_lost() {
        let text = "id,platform,publishedAt,text,text\na,x,2026-10-01T10:00:00Z,first,second".to_owned();
        let refused = read::<Post>(&Lines { format: LineFormat::Csv, text }).unwrap_err();
        assert_eq!(refused, "has the column `text` twice in its header");
    }

    #[test]
    fn a_line_of_a_csv_has_the_number_that_an_editor_shows() {
        let (header, good) = ("id,platform,publishedAt,text", "a,x,2026-10-01T10:00:00Z,t");
        for end in ["\n", "\r\n", "\r"] {
            let file = |lines: &[&str]| lines.join(end);
            assert_eq!(failed(&file(&[header, good, "bad", good])), [3], "{end:?}");
            assert_eq!(failed(&file(&[header, "bad"])), [2], "{end:?}");
            assert_eq!(failed(&file(&[header, "", "", "bad", "", good, "b,x,never,t"])), [4, 7], "{end:?}");
            let quoted = format!("c,x,2026-10-01T10:00:00Z,\"two{end}lines\"");
            assert_eq!(
                failed(&file(&[header, &quoted, "bad", &quoted.replace("2026", "year"), "bad"])),
                [4, 5, 7]
            );
        }
    }
}
