//! Secrets, and keys in PEM, as they are told once or lie in files.

use std::io;
use std::path::PathBuf;

use crate::disk;
use crate::token::ClientSecret;

/// Where a client's secret comes from, or its private key or certificate in PEM. A [`ClientSecret`]
/// or a text is the secret itself, a [`PathBuf`] names a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SecretSource {
    /// Known once and for all.
    Known(ClientSecret),
    /// A file, read again for each try, so that a secret that was replaced counts at once. One line
    /// end at its end is no part of the secret.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now.
    ///
    /// # Errors
    ///
    /// If there is no such file, or no text in it.
    pub fn read(&self) -> io::Result<ClientSecret> {
        match self {
            Self::Known(secret) => Ok(secret.clone()),
            Self::File(path) => match without_line_end(&disk::read_text(path)?) {
                "" => Err(io::ErrorKind::InvalidData.into()),
                secret => Ok(secret.into()),
            },
        }
    }
}

impl From<ClientSecret> for SecretSource {
    fn from(secret: ClientSecret) -> Self {
        Self::Known(secret)
    }
}

impl From<&str> for SecretSource {
    fn from(secret: &str) -> Self {
        Self::Known(secret.into())
    }
}

impl From<String> for SecretSource {
    fn from(secret: String) -> Self {
        Self::Known(secret.into())
    }
}

impl From<PathBuf> for SecretSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

fn without_line_end(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_of_a_secret_is_cut() {
        for (file, secret) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("a\n\n", "a\n"),
            (" a \r", " a \r"),
        ] {
            assert_eq!(without_line_end(file), secret);
        }
    }
}
