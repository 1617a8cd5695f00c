//! How far a long command is. Shown on standard error if that is a terminal, and nowhere else.

use std::io::{self, Read};

use indicatif::{ProgressBar, ProgressStyle};

/// Documents, of which the total is known.
pub(super) fn documents(total: u64) -> ProgressBar {
    styled(ProgressBar::new(total), "{bar:40} {human_pos} of {human_len} documents, {elapsed}, {eta} left")
}

/// Bytes, of which the total is known.
pub(super) fn bytes(total: u64) -> ProgressBar {
    styled(ProgressBar::new(total), "{bar:40} {bytes} of {total_bytes}, {elapsed}, {eta} left")
}

/// Bytes of an unknown number.
pub(super) fn some_bytes() -> ProgressBar {
    styled(ProgressBar::new_spinner(), "{spinner} {bytes}, {elapsed}, {bytes_per_sec}")
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // The templates are constants; a faulty one shows as the default style.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Counts what is read.
#[derive(Debug)]
pub(super) struct Counted<R> {
    input: R,
    bar: ProgressBar,
}

impl<R> Counted<R> {
    pub(super) fn new(input: R, bar: ProgressBar) -> Self {
        Self { input, bar }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
