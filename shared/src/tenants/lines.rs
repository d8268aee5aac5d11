//! Records of an import, one a line.

use serde::de::DeserializeOwned;

use crate::contract::lines::{FailedLine, LineFormat, Lines};

/// More records are not read from one call, whatever its size.
const RECORDS_MAX: usize = 5_000;

/// What can be imported.
pub trait ImportRecord: DeserializeOwned {
    /// The columns that a CSV must have.
    const NEEDED: &'static [&'static str];
    /// The columns that hold whole numbers; an empty one is left out.
    const NUMBERS: &'static [&'static str];

    /// What its members say together.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The records of an import, and the lines that are none.
#[derive(Debug)]
pub struct ImportLines<T> {
    /// In the order of the lines.
    pub records: Vec<T>,
    /// Likewise.
    pub failed: Vec<FailedLine>,
}

/// Reads lines. One that is wrong does not keep the others from being read.
///
/// # Errors
/// A sentence where nothing can be read: a header without a column that every record needs, too many lines.
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

    fn take(&mut self, line: u64, record: Result<T, String>) -> Result<(), String> {
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
        let record = serde_path_to_error::deserialize(&mut parser).map_err(|error| told(&error));
        let record = record.and_then(|record| match parser.end() {
            Ok(()) => Ok(record),
            Err(_) => Err("has something after the record".to_owned()),
        });
        read.take(number as u64 + 1, record)?;
    }
    Ok(read)
}

/// The parser's words, with the member that they are about.
fn told(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
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
    for needed in T::NEEDED {
        if !header.iter().any(|column| column == *needed) {
            return Err(format!("has no column `{needed}` in its header"));
        }
    }
    let mut read = ImportLines::nothing();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(read),
            Ok(true) => {
                let at = record.position().map_or(line, csv::Position::line);
                read.take(at, record_of(&header, &record))?;
            }
            Err(error) => {
                let at = error.position().map_or(line, csv::Position::line);
                read.take(at, Err(explain(&error)))?;
            }
        }
    }
}

/// A record of a CSV. Through JSON, so that both formats have the same rules; an empty number is none.
fn record_of<T: ImportRecord>(header: &csv::StringRecord, record: &csv::StringRecord) -> Result<T, String> {
    let mut members = serde_json::Map::new();
    for (name, value) in header.iter().zip(record) {
        let is_number = T::NUMBERS.contains(&name);
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
    serde_path_to_error::deserialize(serde_json::Value::from(members)).map_err(|error| told(&error))
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header has {expected_len}; is a quote or comma missing?")
        }
        _ => error.to_string(),
    }
}
