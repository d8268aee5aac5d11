//! A parser for server-sent events (HTML Living Standard, 9.2.6) that keeps the data of each event and
//! skips the rest.

/// A parser that takes bytes as they arrive and gives the data of each event that they complete.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    /// The bytes of the line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet.
    data: Option<String>,
    /// Whether the last byte was a carriage return: a line feed after it belongs to the same line end.
    after_cr: bool,
}

impl SseParser {
    /// Reads more bytes, and gives the data of each event that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut completed = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    completed.extend(self.end_line());
                }
                other => {
                    self.after_cr = false;
                    self.line.push(*other);
                }
            }
        }
        completed
    }

    /// Reads the line that has ended; an empty one completes an event.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        // Every other line is a comment, or an event's name, number or retry time, which nobody reads here.
        let value = line.strip_prefix(b"data:")?;
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value)).into_owned();
        match &mut self.data {
            None => self.data = Some(value),
            Some(data) => {
                data.push('\n');
                data.push_str(&value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn data_of_several_lines_is_one_text_and_the_rest_is_left_out() {
        let mut parser = SseParser::default();
        let text = b": ping\n\nevent: x\ndata: a\ndata:b\nid: 7\n\ndata: [DONE]\r\n\r\ndata: cut";
        assert_eq!(parser.push(text), ["a\nb", "[DONE]"]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(
            texts in proptest::collection::vec("[^\r\n]{0,12}", 1..6),
            ends in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let whole: String = texts.iter().map(|text| format!("data: {text}{ends}{ends}")).collect();
            let mut parser = SseParser::default();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.sort_unstable();
            cuts.push(whole.len());
            let mut found = Vec::new();
            let mut from = 0;
            for cut in cuts {
                found.extend(parser.push(&whole.as_bytes()[from..cut]));
                from = cut;
            }
            prop_assert_eq!(found, texts);
        }
    }
}
