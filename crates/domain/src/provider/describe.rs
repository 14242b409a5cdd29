//! What a provider's file says, in words: for whoever decides whether to rely on it.

use std::fmt;

use super::definition::{
    Conditions, Fetch, HashRule, Message, Provider, Scheme, Strength, Verify, VerifyMode,
};
use super::template::Template;
use crate::{hash::Hash, public_key::Algorithm};

impl Strength {
    /// What it means.
    pub fn explained(self) -> &'static str {
        match self {
            Self::Signed => "the proof covers the whole body",
            Self::Partial => "the proof covers less than the body, or others hold the same key",
            Self::Token => "a shared secret, and nothing covers the body",
            Self::None => "nothing is proven",
        }
    }
}

impl super::definition::Proof {
    /// What it means.
    pub fn explained(self) -> &'static str {
        match self {
            Self::Published => "by an answer that the provider published",
            Self::VendorSdk => "by the provider's own library",
            Self::Derived => "from documentation only",
        }
    }
}

impl Provider {
    /// The ways in which a request can be proven, a line each, with values as the file writes them.
    pub fn ways(&self) -> Vec<String> {
        self.verify.iter().map(|block| block.get_ref().to_string()).collect()
    }

    /// Whether all of [`Provider::ways`] have to hold, and not only one of them.
    pub fn needs_all_ways(&self) -> bool {
        self.verify_mode == VerifyMode::All
    }

    /// The names of the challenges that are answered.
    pub fn challenges(&self) -> Vec<&str> {
        self.handshakes.iter().map(|handshake| handshake.get_ref().name.as_str()).collect()
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proof(f)?;
        if let Some(pointer) = &self.each {
            write!(
                f,
                ", for each item of {}",
                if pointer.is_empty() { "the body" } else { pointer }
            )?;
        }
        self.fetch.iter().try_for_each(|fetch| write!(f, ", {fetch}"))?;
        let age = self.timestamp.as_ref().map(|rule| rule.tolerance).or(self.max_age);
        age.iter().try_for_each(|seconds| write!(f, ", at most {seconds} s old"))?;
        conditions(&self.when, f)
    }
}

impl Verify {
    /// What is compared or verified.
    fn proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |template: &Option<Template>| {
            template.as_ref().map_or_else(|| "the body".to_owned(), Template::to_string)
        };
        match self.scheme {
            Scheme::Hmac => write!(f, "HMAC-{} over ", hash(self.hash))?,
            Scheme::Digest => write!(f, "{} of ", hash(self.hash))?,
            Scheme::Signature => {
                write!(f, "{} over ", self.algorithm.map_or("a signature", Algorithm::label))?;
            }
            Scheme::Token => {
                return write!(f, "{} is {}", shown(&self.value), shown(&self.expected));
            }
            Scheme::Basic => {
                let (name, password) = (shown(&self.username), shown(&self.password));
                return write!(f, "basic authentication as {name} with {password}");
            }
            Scheme::Jwt => {
                let names: Vec<&str> = self.algorithms.iter().map(|one| one.name()).collect();
                return write!(f, "JWT ({}) in {}", names.join(", "), shown(&self.token));
            }
            Scheme::MessageSignatures => return f.write_str("HTTP Message Signatures (RFC 9421)"),
            Scheme::Cavage => return f.write_str("HTTP signatures (draft-cavage)"),
        }
        let mut messages = self.message.iter().chain(&self.messages);
        match messages.next() {
            Some(first) => write!(f, "{first}")?,
            None => f.write_str("{body}")?,
        }
        match messages.count() {
            0 => {}
            1 => f.write_str(" or another form of it")?,
            others => write!(f, " or one of {others} other forms of it")?,
        }
        let headers: Vec<&str> = self.signature.header.iter().map(String::as_str).collect();
        match &self.signature.value {
            Some(value) => write!(f, ", in {value}"),
            None => write!(f, ", in {}", headers.join(" or ")),
        }
    }
}

fn hash(rule: Option<HashRule>) -> &'static str {
    match rule {
        Some(HashRule::Fixed(hash)) => hash.label(),
        _ => "the hash that the signature names",
    }
}

impl Hash {
    fn label(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }
}

impl Algorithm {
    fn label(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha256Fixed => "ECDSA P-256 with SHA256",
            Self::EcdsaP256Sha1 => "ECDSA P-256 with SHA1",
            Self::EcdsaP384Sha384Fixed => "ECDSA P-384 with SHA384",
            Self::RsaSha256 => "RSA with SHA256",
            Self::RsaSha512 => "RSA with SHA512",
            Self::RsaSha1 => "RSA with SHA1",
            Self::RsaSha384 => "RSA with SHA384",
            Self::RsaPssSha256 => "RSA-PSS with SHA256",
            Self::RsaPssSha384 => "RSA-PSS with SHA384",
            Self::RsaPssSha512 => "RSA-PSS with SHA512",
        }
    }
}

/// What is left out if a value is missing stands in square brackets.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part.optional {
            true => write!(f, "[{}]", part.template),
            false => write!(f, "{}", part.template),
        })
    }
}

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key fetched from {}", self.hosts.join(" or "))
    }
}

fn conditions(when: &Conditions, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut before = ", if ";
    for (place, expected) in when {
        match expected.as_str() {
            "*" => write!(f, "{before}{{{place}}} is there")?,
            "!" => write!(f, "{before}{{{place}}} is not there")?,
            text => write!(f, "{before}{{{place}}} is {text}")?,
        }
        before = " and ";
    }
    Ok(())
}
