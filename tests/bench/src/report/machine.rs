//! Where figures were measured.

use std::{
    fmt::{self, Display, Formatter},
    fs,
    process::Command,
    thread,
};

use serde::{Deserialize, Serialize};

/// What decides how fast a machine is, as far as a program can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// How many threads run at once.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The kernel's version.
    pub kernel: String,
    /// The compiler's.
    pub compiler: String,
}

impl Machine {
    /// This machine; what cannot be told is "unknown".
    #[must_use]
    pub fn here() -> Self {
        let unknown = || "unknown".to_owned();
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        let compiler = Command::new("rustc").arg("-V").output().map(|it| it.stdout);
        let compiler = compiler.map(|it| String::from_utf8_lossy(&it).trim().to_owned());
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: model(&processors).map_or_else(unknown, str::to_owned),
            kernel: kernel.map_or_else(|_| unknown(), |it| format!("Linux {}", version(&it))),
            compiler: compiler.ok().filter(|it| !it.is_empty()).unwrap_or_else(unknown),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, compiler } = self;
        write!(f, "{cores} cores of {processor}, {kernel}, {compiler}")
    }
}

/// The kernel's own version, without what a distribution or a host adds to it.
fn version(release: &str) -> &str {
    let end = release.find(|it: char| !it.is_ascii_digit() && it != '.');
    &release[..end.unwrap_or(release.len())]
}

fn model(processors: &str) -> Option<&str> {
    let line = processors.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_its_version() {
        assert_eq!(version("6.12.3-amd64\n"), "6.12.3");
        assert_eq!(version("6.12\n"), "6.12");
    }

    #[test]
    fn a_processor_is_called_by_its_first_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nmodel name\t: other\n";
        assert_eq!(model(text), Some("Some CPU @ 2 GHz"));
        assert_eq!(model(""), None);
    }
}
