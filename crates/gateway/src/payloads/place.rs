//! Where an operator wants payloads to be kept.

use std::path::PathBuf;

use url::Url;

/// A place for payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of this machine: `file:///var/lib/ringback/payloads`.
    Directory(PathBuf),
    /// A bucket of S3, or of a server that speaks as S3 does:
    /// `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-central-1`.
    Bucket {
        /// Its name.
        name: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
        /// Where the server is, if it is not Amazon's.
        endpoint: Option<String>,
        /// The region, if it is not the usual one.
        region: Option<String>,
    },
}

impl Place {
    /// Reads a place.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the name of the setting.
    pub fn parse(text: &str) -> Result<Place, String> {
        let expected = || {
            "must be a URL such as file:///var/lib/ringback/payloads or s3://bucket/prefix"
                .to_owned()
        };
        let url = Url::parse(text).map_err(|_| expected())?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("has a user or a fragment; credentials of S3 come from AWS_ACCESS_KEY_ID \
                        and AWS_SECRET_ACCESS_KEY"
                .to_owned());
        }
        match url.scheme() {
            "file" if url.query().is_none() => {
                url.to_file_path().map(Place::Directory).map_err(|()| expected())
            }
            "s3" => bucket(&url, expected),
            _ => Err(expected()),
        }
    }
}

fn bucket(url: &Url, expected: impl Fn() -> String) -> Result<Place, String> {
    let name = url.host_str().filter(|name| !name.is_empty()).ok_or_else(&expected)?;
    let (mut endpoint, mut region) = (None, None);
    for (key, value) in url.query_pairs() {
        let place = match &*key {
            "endpoint" if is_server(&value) => &mut endpoint,
            "endpoint" => return Err(format!("has the endpoint {value:?}, which is no URL")),
            "region" => &mut region,
            other => return Err(format!("has {other:?}; there are endpoint and region")),
        };
        *place = Some(value.trim_end_matches('/').to_owned());
    }
    Ok(Place::Bucket {
        name: name.to_owned(),
        prefix: url.path().trim_matches('/').to_owned(),
        endpoint,
        region,
    })
}

fn is_server(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let directory = Place::parse("file:///var/lib/ringback/payloads").unwrap();
        assert_eq!(directory, Place::Directory("/var/lib/ringback/payloads".into()));
        let bucket = Place::parse("s3://kept/a/b/?endpoint=http://127.0.0.1:9000/&region=eu-1");
        let expected = Place::Bucket {
            name: "kept".to_owned(),
            prefix: "a/b".to_owned(),
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            region: Some("eu-1".to_owned()),
        };
        assert_eq!(bucket, Ok(expected));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in [
            "/var/lib/ringback",
            "ftp://example.com/a",
            "file://elsewhere/a",
            "file:///a?b=c",
            "s3:///a",
            "s3://key:secret@bucket/a",
            "s3://bucket?endpoint=127.0.0.1:9000",
            "s3://bucket?endpont=http://127.0.0.1:9000",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
