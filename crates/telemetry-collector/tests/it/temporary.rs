//! Files that end with a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A file, removed when it is dropped.
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("telemetry-collector-{}", Uuid::new_v4()));
        let file = Self(path);
        file.write(text);
        file
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("the folder of temporary files is writable");
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("the path is text")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}
