//! Real processes, of which one after another is killed.
//!
//! The children are this test program again. They share a pipe, to which each reports its progress in lines of less
//! than `PIPE_BUF` bytes, so that lines are whole and in order. Progress decides when a child is killed, not time.

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::File,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write},
    os::fd::AsFd,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
};

use super::{LATER, Mutant, NOW, Setup, TemporaryFolder, files};
use crate::{Spool, Writer};

const CHILD: &str = "TELEMETRY_SPOOL_CHILD";
const ROOT: &str = "TELEMETRY_SPOOL_ROOT";
const MUTANT: &str = "TELEMETRY_SPOOL_MUTANT";

const MUTANTS: [(&str, Mutant); 3] = [
    ("without temporary name", Mutant::TemporaryName),
    ("without writer lock", Mutant::WriterLock),
    ("without drain lock", Mutant::DrainLock),
];

/// Roles of the children. The number of a child decides: `number % ROLES`.
const ROLES: u64 = 6;

/// Begins lines, which the output of the test harness does not.
const REPORTED: u8 = b'+';
const DELIVERED: u8 = b'>';
const ACKNOWLEDGED: u8 = b'=';

/// One of the processes, if the environment says so.
#[test]
fn child() {
    let Ok(child) = env::var(CHILD) else { return };
    let child: u64 = child.parse().unwrap();
    let mutant = env::var(MUTANT).unwrap_or_default();
    let mutant = MUTANTS.into_iter().find(|(name, _)| *name == mutant).map(|(_, mutant)| mutant);
    let root = PathBuf::from(env::var_os(ROOT).unwrap());
    let spool = Setup { mutant, ..Setup::default() }.open(&root).unwrap();
    let mut report =
        Report { child, pipe: io::stdout().as_fd().try_clone_to_owned().unwrap().into() };
    // Never returns: the harness would write more.
    match child % ROLES {
        0 | 1 => deliver(&spool, &mut report),
        2 => put(&spool, &mut report),
        _ => write(&spool, &mut report),
    }
}

struct Report {
    child: u64,
    pipe: File,
}

impl Report {
    fn write(&mut self, kind: u8, records: &[String]) {
        // The test harness of a child that starts may have begun a line.
        let line = format!("\n{} {} {}\n", char::from(kind), self.child, records.join(" "));
        assert!(line.len() < 4096);
        if self.pipe.write_all(line.as_bytes()).is_err() {
            process::exit(0); // The parent is gone.
        }
    }
}

fn put(spool: &Spool, report: &mut Report) -> ! {
    for n in 0.. {
        let record = format!("{}.{n}", report.child);
        if spool.put(record.as_bytes(), NOW + n).is_ok() {
            report.write(REPORTED, &[record]);
        }
    }
    unreachable!("numbers do not end");
}

/// Appends, delivers and acknowledges, so that there are many new files and few records.
fn write(spool: &Spool, report: &mut Report) -> ! {
    let mut writer: Writer = spool.writer();
    let mut next = 0;
    loop {
        let records: Vec<_> =
            (next..next + 1 + next % 3).map(|n| format!("{}.{n}", report.child)).collect();
        let written = match writer.append(&records, NOW + next) {
            Ok(written) => written,
            // A drain was faster than the lock.
            Err(error) => error.written,
        };
        let through = written.end - 1;
        let written = &records[..usize::try_from(written.end - written.start).unwrap()];
        next += records.len() as u64;
        report.write(REPORTED, written);
        report.write(DELIVERED, written);
        if writer.acknowledge(through).is_ok() {
            report.write(ACKNOWLEDGED, written);
        }
    }
}

/// The time makes all temporary files seem abandoned.
fn deliver(spool: &Spool, report: &mut Report) -> ! {
    loop {
        let Ok(Some(mut drain)) = spool.drain(LATER + 1_000_000_000) else { continue };
        while let Ok(records) = drain.read(50)
            && !records.is_empty()
        {
            let count = records.len();
            let records: Vec<_> =
                records.into_iter().map(|it| String::from_utf8(it).unwrap()).collect();
            report.write(DELIVERED, &records);
            if drain.acknowledge(count).is_ok() {
                report.write(ACKNOWLEDGED, &records);
            }
        }
    }
}

struct Loop {
    root: TemporaryFolder,
    mutant: &'static str,
    lines: BufReader<PipeReader>,
    pipe: PipeWriter,
    /// Number and process.
    children: Vec<(u64, Child)>,
    next: u64,
    records: HashMap<String, State>,
    killed: HashSet<u64>,
    reported: u64,
    problems: Vec<String>,
}

#[derive(Default)]
struct State {
    is_reported: bool,
    is_acknowledged: bool,
    delivered_by: Option<u64>,
}

impl Loop {
    fn new(mutant: &'static str) -> Self {
        let (reader, pipe) = io::pipe().unwrap();
        Self {
            root: TemporaryFolder::alone(),
            mutant,
            lines: BufReader::new(reader),
            pipe,
            children: Vec::new(),
            next: 0,
            records: HashMap::new(),
            killed: HashSet::new(),
            reported: 0,
            problems: Vec::new(),
        }
    }

    fn spawn(&mut self, number: u64) {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tests::kill_loop::child", "--nocapture", "--test-threads=1"])
            .env(CHILD, number.to_string())
            .env(ROOT, &*self.root)
            .env(MUTANT, self.mutant)
            .stdin(Stdio::null())
            .stdout(self.pipe.try_clone().unwrap())
            .spawn()
            .unwrap();
        self.children.push((number, child));
    }

    /// Kills a child and starts one with the same role.
    fn kill(&mut self, at: usize) {
        let (number, mut child) = self.children.swap_remove(at);
        self.killed.insert(number);
        child.kill().unwrap();
        child.wait().unwrap();
        self.next += ROLES;
        let number = self.next + number % ROLES;
        self.spawn(number);
    }

    /// Kills up to `kills` children. Ends earlier with the first problem.
    fn run(mut self, kills: u64) -> (u64, u64, Vec<String>) {
        for number in 0..ROLES {
            self.spawn(number);
        }
        let mut killed = 0;
        let mut random = 1_u64;
        while killed < kills && self.problems.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for _ in 0..(random >> 56) {
                self.read_line();
            }
            self.kill(usize::try_from((random >> 32) % ROLES).unwrap());
            killed += 1;
        }
        for (number, child) in &mut self.children {
            self.killed.insert(*number);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.pipe = io::pipe().unwrap().1;
        while self.read_line() {}
        self.finish();
        (killed, self.reported, self.problems)
    }

    fn read_line(&mut self) -> bool {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default().as_bytes();
        if let &[kind @ (REPORTED | DELIVERED | ACKNOWLEDGED)] = kind {
            let child: u64 = words.next().unwrap().parse().unwrap();
            for record in words {
                self.note(kind, child, record);
            }
        }
        true
    }

    /// A record may be delivered again only if it was not acknowledged, and who delivered it was killed.
    fn note(&mut self, kind: u8, child: u64, record: &str) {
        let state = self.records.entry(record.into()).or_default();
        match kind {
            REPORTED => {
                state.is_reported = true;
                self.reported += 1;
            }
            ACKNOWLEDGED => state.is_acknowledged = true,
            _ => {
                if let Some(by) = state.delivered_by.replace(child) {
                    if state.is_acknowledged {
                        self.problems.push(format!("{record} delivered after its removal"));
                    } else if !self.killed.contains(&by) {
                        self.problems.push(format!("{record} delivered by {by} and {child}"));
                    }
                }
            }
        }
    }

    /// Delivers what is left.
    fn finish(&mut self) {
        let spool = Setup::default().open(&self.root).unwrap();
        let mut drain = spool.drain(LATER + 1_000_000_000).unwrap().unwrap();
        loop {
            let records = drain.read(1_000).unwrap();
            if records.is_empty() {
                break;
            }
            drain.acknowledge(records.len()).unwrap();
            for record in records {
                self.note(DELIVERED, u64::MAX, &String::from_utf8(record).unwrap());
            }
        }
        let left = files(&self.root);
        if !left.is_empty() {
            self.problems.push(format!("left: {left:?}"));
        }
        for (record, state) in &self.records {
            if state.is_reported && state.delivered_by.is_none() {
                self.problems.push(format!("{record} lost"));
            }
        }
    }
}

#[test]
fn killed_processes_lose_no_record_and_repeat_only_what_they_were_delivering() {
    let kills = if env::var_os("TELEMETRY_LONG_TESTS").is_some() { 5_000 } else { 150 };
    let (killed, reported, problems) = Loop::new("").run(kills);
    println!("{killed} kills, {reported} records");
    assert_eq!(problems, [""; 0]);
    assert!(reported > killed);
}

/// `protocol_without_one_of_its_steps_is_found` shows the same without chance.
#[test]
fn killed_processes_show_that_each_step_of_the_protocol_is_needed() {
    if env::var_os("TELEMETRY_LONG_TESTS").is_none() {
        return;
    }
    for (name, _) in MUTANTS {
        // Losses show at the end of a run.
        let mut runs = (0..100).map(|_| Loop::new(name).run(200));
        let (killed, _, problems) = runs.find(|run| !run.2.is_empty()).unwrap_or_default();
        println!("{name}: {:?} within {killed} kills", problems.first());
        assert!(!problems.is_empty(), "{name}");
    }
}
