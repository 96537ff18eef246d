//! A PostgreSQL server for the tests of one binary, without TCP.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Creates a cluster in the folder `$1` with the programs in `$2`, and removes it when stdin ends. `initdb` refuses
/// root, so root becomes another user. Text has an encoding that cannot express all of Unicode.
const SCRIPT: &str = r#"
if [ "$(id -u)" = 0 ]; then
    user=nobody; id postgres >/dev/null 2>&1 && user=postgres
    chown "$user" "$1"
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups sh -c "$3" sh "$1" "$2" "$3"
fi
cd "$1" || exit
trap 'rm -rf "$1"' EXIT
"$2/initdb" -D data -U collector -A trust -E LATIN1 --locale=C -N >log 2>&1 || exit
options="-c listen_addresses= -c unix_socket_directories=$1 -c fsync=off -c max_connections=200"
"$2/pg_ctl" -D data -w -l log -o "$options" start >/dev/null 2>&1 || exit
echo ready
read -r _
"$2/pg_ctl" -D data -m immediate stop >/dev/null 2>&1
"#;

pub(crate) struct Cluster {
    /// It contains the socket.
    pub(crate) folder: PathBuf,
    programs: PathBuf,
    last: AtomicU32,
    /// Its stdin is closed when this process ends, in whatever way.
    _keeper: Child,
}

/// The cluster, started by the first call. `None` on a machine without PostgreSQL.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let programs = programs();
        if programs.is_none() {
            eprintln!("skipped: there is no PostgreSQL (`apt-get install postgresql`)");
        }
        programs.map(Cluster::start)
    });
    cluster.as_ref()
}

/// The folder with `initdb` and `pg_ctl`.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let has =
        |folder: &PathBuf| ["initdb", "pg_ctl", "psql"].iter().all(|it| folder.join(it).is_file());
    env::split_paths(&path).chain(debian).find(has)
}

impl Cluster {
    fn start(programs: PathBuf) -> Self {
        let folder = env::temp_dir().join(format!("telemetry-pg-{}", process::id()));
        fs::create_dir(&folder).expect("the folder is new");
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args([&folder, &programs])
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut line = String::new();
        let stdout = keeper.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it prints text");
        assert_eq!(line, "ready\n", "PostgreSQL in {} does not start", programs.display());
        Self { folder, programs, last: AtomicU32::new(0), _keeper: keeper }
    }

    /// The name of a new database.
    pub(crate) fn database(&self) -> String {
        let name = format!("d{}", self.last.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        name
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().expect("the path is text").replace('/', "%2F");
        format!("postgres://collector@{folder}/{database}")
    }

    /// Runs statements. Returns what they print.
    pub(crate) fn execute(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "collector", "-d", database, "-h"])
            .arg(&self.folder)
            .args(["-c", sql])
            .output()
            .expect("psql can be run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}
