//! Words and operators of command lines.

use std::{iter::Peekable, str::Chars};

use super::wrappers::Dialect;

/// Splits commands that are joined by `&&` into words, without quotes, comments and redirections.
///
/// `None` if there is anything else: another operator, a substitution, a here-document, a parenthesis or a quote
/// without its end.
pub(super) fn commands(text: &str, dialect: Dialect) -> Option<Vec<Vec<String>>> {
    let mut scanner = Scanner {
        rest: text.chars().peekable(),
        dialect,
        commands: Vec::new(),
        words: Vec::new(),
        word: None,
        is_target: false,
        has_ended: false,
    };
    scanner.run()?;
    Some(scanner.commands)
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    dialect: Dialect,
    commands: Vec<Vec<String>>,
    /// Words of the command that is being read.
    words: Vec<String>,
    word: Option<String>,
    /// The next word is the target of a redirection.
    is_target: bool,
    /// A line break or `;` was read: no command may follow.
    has_ended: bool,
}

impl Scanner<'_> {
    fn run(&mut self) -> Option<()> {
        while let Some(char) = self.rest.next() {
            self.char(char)?;
        }
        self.end_word()?;
        if self.has_ended && self.words.is_empty() { Some(()) } else { self.end_command() }
    }

    fn char(&mut self, char: char) -> Option<()> {
        let dialect = self.dialect;
        match char {
            '\n' => self.end_line(),
            ';' => {
                self.end_word()?;
                (dialect != Dialect::Cmd && !self.words.is_empty() && !self.has_ended)
                    .then_some(())?;
                self.end_line()
            }
            char if char.is_whitespace() => self.end_word(),
            '#' if self.word.is_none() && dialect != Dialect::Cmd => {
                while self.rest.next_if(|char| *char != '\n').is_some() {}
                Some(())
            }
            '&' => self.ampersand(),
            '>' => self.redirection(),
            '<' => match self.rest.peek() {
                Some('<' | '(' | '>') => None,
                _ => self.start_target(),
            },
            '|' | '(' | ')' => None,
            '{' | '}' if dialect == Dialect::PowerShell => None,
            '"' => self.double_quoted(),
            '\'' if dialect != Dialect::Cmd => self.single_quoted(),
            '\\' if dialect == Dialect::Posix => self.backslash(),
            '`' if dialect == Dialect::Posix => None,
            '`' if dialect == Dialect::PowerShell => self.escaped(),
            '^' if dialect == Dialect::Cmd => self.escaped(),
            '$' if dialect != Dialect::Cmd => match self.rest.peek() {
                Some('(' | '\'') => None,
                Some('"') => Some(()),
                _ => self.push(char),
            },
            char => self.push(char),
        }
    }

    fn ampersand(&mut self) -> Option<()> {
        if self.rest.next_if_eq(&'&').is_some() {
            self.end_word()?;
            return self.end_command();
        }
        if self.dialect == Dialect::Posix && self.rest.next_if_eq(&'>').is_some() {
            self.end_word()?;
            self.rest.next_if_eq(&'>');
            return self.start_target();
        }
        // The call operator of PowerShell.
        let is_call = self.dialect == Dialect::PowerShell && self.word.is_none();
        (is_call && self.words.is_empty()).then_some(())
    }

    fn redirection(&mut self) -> Option<()> {
        // The number of a file descriptor, or `*` for all streams of PowerShell.
        let is_stream = |word: &String| {
            word == "*" || !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
        };
        if self.word.as_ref().is_some_and(is_stream) {
            self.word = None;
        }
        self.rest.next_if(|char| matches!(char, '>' | '|'));
        if self.rest.peek() == Some(&'(') {
            return None;
        }
        self.rest.next_if_eq(&'&');
        self.start_target()
    }

    fn start_target(&mut self) -> Option<()> {
        self.end_word()?;
        (!self.is_target).then(|| self.is_target = true)
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.word.get_or_insert_default();
        loop {
            match (self.rest.next()?, self.dialect) {
                ('"', _) => return Some(()),
                ('`', Dialect::Posix) => return None,
                ('`', Dialect::PowerShell) => self.escaped()?,
                ('$', Dialect::Posix | Dialect::PowerShell) if self.rest.peek() == Some(&'(') => {
                    return None;
                }
                ('\\', Dialect::Posix) => match self.rest.next()? {
                    '\n' => {}
                    char @ ('"' | '\\' | '$' | '`') => self.push(char)?,
                    char => {
                        self.push('\\')?;
                        self.push(char)?;
                    }
                },
                (char, _) => self.push(char)?,
            }
        }
    }

    fn single_quoted(&mut self) -> Option<()> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next()? {
                '\'' => return Some(()),
                char => self.push(char)?,
            }
        }
    }

    /// The character after an escape is literal; before the end of a line, it continues the line.
    fn escaped(&mut self) -> Option<()> {
        self.rest.next_if_eq(&'\r');
        match self.rest.next()? {
            '\n' => Some(()),
            char => self.push(char),
        }
    }

    fn backslash(&mut self) -> Option<()> {
        // Commands of Windows are logged as they are. No shell needs an escape before these.
        if self
            .rest
            .peek()
            .is_some_and(|char| char.is_ascii_alphanumeric() || ".@_".contains(*char))
        {
            return self.push('\\');
        }
        self.escaped()
    }

    /// Adds to a word. `None` if no word may follow.
    fn push(&mut self, char: char) -> Option<()> {
        if self.has_ended {
            return None;
        }
        self.word.get_or_insert_default().push(char);
        Some(())
    }

    fn end_word(&mut self) -> Option<()> {
        let Some(word) = self.word.take() else { return Some(()) };
        if self.has_ended {
            return None;
        }
        if self.is_target {
            self.is_target = false;
        } else {
            self.words.push(word);
        }
        Some(())
    }

    fn end_command(&mut self) -> Option<()> {
        if self.is_target || self.has_ended || self.words.is_empty() {
            return None;
        }
        self.commands.push(std::mem::take(&mut self.words));
        Some(())
    }

    fn end_line(&mut self) -> Option<()> {
        self.end_word()?;
        // An empty line, or one that ends with `&&`.
        if self.words.is_empty() && !self.is_target {
            return Some(());
        }
        self.end_command()?;
        self.has_ended = true;
        Some(())
    }
}
