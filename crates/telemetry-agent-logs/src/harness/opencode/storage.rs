//! Sessions in files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use super::{
    MAX_DEPTH, Position, Session,
    message::{MessageRecord, PartRecord},
    turns::Turns,
};
use crate::{
    Checkpoint, Found,
    harness::lenient::{Raw, parsed},
};

/// The largest file that is read.
const MAX_FILE: u64 = 64 << 20;

/// Number of newest messages of a session that are watched: opencode writes to the files of the last ones.
const WATCHED: usize = 4;

#[derive(Default, Deserialize)]
#[serde(default)]
struct SessionRecord<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(rename = "parentID")]
    parent: Raw<'a>,
    directory: Raw<'a>,
}

/// The file of a session.
struct SessionFile {
    id: String,
    parent: Option<String>,
    directory: Option<String>,
}

impl SessionFile {
    /// `None` if it is no JSON.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = read_file(path)?;
        let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(&bytes) else {
            return Ok(None);
        };
        let id = parsed(record.id).unwrap_or_else(|| stem(path));
        Ok(Some(Self { id, parent: parsed(record.parent), directory: parsed(record.directory) }))
    }

    /// The session, whose file is in a folder with those of its ancestors.
    fn session(&self, folder: &Path) -> Session {
        let mut root = self.parent.clone();
        for _ in 0..MAX_DEPTH {
            let file = root.as_deref().and_then(|parent| below(folder, &format!("{parent}.json")));
            match file.map(|file| Self::read(&file)) {
                Some(Ok(Some(Self { parent: Some(parent), .. }))) => root = Some(parent),
                _ => break,
            }
        }
        Session {
            is_child: root.is_some(),
            root: root.unwrap_or_else(|| self.id.clone()),
            directory: self.directory.clone(),
        }
    }
}

pub(super) fn watched(path: &Path) -> Vec<PathBuf> {
    let mut watched = vec![path.to_owned()];
    let id = SessionFile::read(path).ok().flatten().map(|file| file.id);
    if let Some(storage) = storage(path)
        && let Some(messages) = id.and_then(|id| below(&storage.join("message"), &id))
    {
        let files = files(&messages).unwrap_or_default();
        watched.push(messages);
        if let Some(last) = files.last() {
            watched.push(storage.join("part").join(stem(last)));
        }
        watched.extend(files.into_iter().rev().take(WATCHED));
    }
    watched
}

pub(super) fn read(path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
    let Some(file) = SessionFile::read(path)? else {
        found.bad_lines += 1;
        return Ok(from.clone());
    };
    let (Some(storage), Some(folder)) = (storage(path), path.parent()) else {
        return Ok(from.clone());
    };
    let Some(messages) = below(&storage.join("message"), &file.id) else { return Ok(from.clone()) };
    let closed: Option<Position> = serde_json::from_str(&from.before).ok();
    let mut all = Vec::new();
    let mut newest = 0;
    for path in files(&messages)? {
        let Some(bytes) = read_part(&path)? else { continue };
        match serde_json::from_slice::<MessageRecord<'_>>(&bytes) {
            Ok(record) => {
                let id = parsed(record.id).unwrap_or_else(|| stem(&path));
                // One without a time is behind the one before it.
                let message = record.message(None, newest);
                newest = message.created;
                all.push((Position { at: message.created, id }, message));
            }
            Err(_) => found.bad_lines += 1,
        }
    }
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));

    let session = file.session(folder);
    let mut bad_files = 0;
    let mut turns = Turns::new(&session, found);
    for (position, message) in
        all.into_iter().filter(|(position, _)| Some(position) > closed.as_ref())
    {
        turns.begin(&message);
        let parts = below(&storage.join("part"), &position.id);
        for path in parts.map_or(Ok(Vec::new()), |parts| files(&parts))? {
            let Some(bytes) = read_part(&path)? else { continue };
            match serde_json::from_slice::<PartRecord<'_>>(&bytes) {
                Ok(record) => turns.part(&record),
                Err(_) => bad_files += 1,
            }
        }
        turns.end(&message, position);
    }
    let (position, _) = turns.finish();
    found.bad_lines += bad_files;
    let Some(position) = position else { return Ok(from.clone()) };
    Ok(Checkpoint { offset: 0, before: serde_json::to_string(&position)? })
}

/// The folder `storage` of a session's file.
fn storage(path: &Path) -> Option<PathBuf> {
    path.ancestors().nth(3).map(Path::to_owned)
}

/// A file or folder in a folder; `None` if the name leads elsewhere.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut components = Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) => Some(folder.join(name)),
        _ => None,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The JSON files of a folder in the order of their names, which is that of their creation.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "json")
            && entry.file_type()?.is_file()
        {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// A file of a message or of a part; `None` if it has been removed meanwhile.
fn read_part(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

/// Reads a file, of which one that is too long is no JSON then.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
