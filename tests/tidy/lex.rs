//! Rust text to tokens, as far as the rules need them: comments and the insides of literals are gone.

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Also keywords.
    Word(String),
    /// `::`
    Colons,
    /// Any other single character.
    Mark(char),
    /// A string, character, lifetime or number.
    Literal,
}

/// A token and its line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }
}

/// All tokens of a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (kind, end) = next(&chars, at);
        if let Some(kind) = kind {
            tokens.push(Token { kind, line });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// The token that begins at `at`, if that is not space or a comment, and where the next begins.
fn next(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let ahead = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    match chars[at] {
        space if space.is_whitespace() => (None, at + 1),
        '/' if ahead(1) == '/' => (None, find(chars, at, |c| c == '\n')),
        '/' if ahead(1) == '*' => (None, comment_end(chars, at)),
        ':' if ahead(1) == ':' => (Some(Kind::Colons), at + 2),
        '"' => (Some(Kind::Literal), quoted_end(chars, at, '"')),
        // A lifetime has no second quote behind one character.
        '\'' if ahead(1) == '\\' || ahead(2) == '\'' => (Some(Kind::Literal), quoted_end(chars, at, '\'')),
        '\'' => (Some(Kind::Literal), find(chars, at + 1, |c| !is_word(c))),
        digit if digit.is_ascii_digit() => (Some(Kind::Literal), find(chars, at, |c| !is_word(c))),
        word if is_word(word) => word_or_string(chars, at),
        mark => (Some(Kind::Mark(mark)), at + 1),
    }
}

/// A word, or what a word only introduces: `b"…"`, `c"…"`, `r#"…"#`, `b'…'`, `r#word`.
fn word_or_string(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let end = find(chars, at, |c| !is_word(c));
    let word: String = chars[at..end].iter().collect();
    let mark = chars.get(end).copied().unwrap_or('\0');
    match word.as_str() {
        "b" | "c" if mark == '"' => (Some(Kind::Literal), quoted_end(chars, end, '"')),
        "b" if mark == '\'' => (Some(Kind::Literal), quoted_end(chars, end, '\'')),
        "r" | "br" | "cr" if mark == '"' || mark == '#' => {
            let quote = find(chars, end, |c| c != '#');
            if chars.get(quote) != Some(&'"') {
                let end = find(chars, quote, |c| !is_word(c));
                return (Some(Kind::Word(chars[quote..end].iter().collect())), end);
            }
            let hashes = quote - end;
            let closes = |start: &usize| {
                chars[*start] == '"' && chars[start + 1..].iter().take_while(|c| **c == '#').count() >= hashes
            };
            let end = (quote + 1..chars.len()).find(closes).map_or(chars.len(), |start| start + 1 + hashes);
            (Some(Kind::Literal), end)
        }
        _ => (Some(Kind::Word(word)), end),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| wanted(chars[*at])).unwrap_or(chars.len())
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}
