//! Files with secrets.

use std::path::Path;

use crate::LocalError;

/// Writes a file that its owner alone may read.
///
/// # Errors
/// [`LocalError`] when the file cannot be written.
pub fn write_secret(file: &Path, text: &str) -> Result<(), LocalError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(LocalError::io(format!("writing {}", file.display())))
}
