//! Why the way out failed, in one word each; in which phase is the domain's [`Phase`].
//!
//! Coarse on purpose: these words reach tenants, and a finer answer would let them map the
//! network behind the guard.

use std::fmt;

#[cfg(doc)]
use ringback_domain::attempt::Phase;

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host name does not exist or has no address.
    DnsNotFound,
    /// The name servers answered with an error.
    DnsFailed,
    /// The name servers did not answer in time.
    DnsTimeout,
    /// The address or the port may not be dialled.
    RefusedByPolicy,
    /// Nobody listens there.
    ConnectionRefused,
    /// The connection was not established in time.
    ConnectTimeout,
    /// The connection could not be established.
    ConnectFailed,
    /// The operator's proxy cannot be reached, or is none.
    ProxyUnreachable,
    /// The operator's proxy refuses the tunnel.
    ProxyRefused,
    /// The TLS handshake did not end in time.
    TlsTimeout,
    /// The certificate's time is over.
    TlsCertificateExpired,
    /// The certificate's time has not begun.
    TlsCertificateNotYetValid,
    /// The certificate is for other host names.
    TlsCertificateWrongHost,
    /// The certificate is signed by itself and not trusted.
    TlsCertificateSelfSigned,
    /// The certificate is signed by nobody we trust.
    TlsCertificateUnknownIssuer,
    /// The certificate is unusable for another reason.
    TlsCertificateInvalid,
    /// The TLS handshake failed for another reason (no common version, reset …).
    TlsFailed,
    /// The attempt's total deadline passed.
    Timeout,
    /// The peer closed or reset the connection.
    Reset,
    /// The answer is not HTTP/1.
    Malformed,
    /// The head of the answer is over the limits.
    TooLarge,
}

impl Reason {
    /// The code that is recorded and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DnsNotFound => "dns_not_found",
            Self::DnsFailed => "dns_failed",
            Self::DnsTimeout => "dns_timeout",
            Self::RefusedByPolicy => "refused_by_policy",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::ProxyUnreachable => "proxy_unreachable",
            Self::ProxyRefused => "proxy_refused",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsCertificateExpired => "tls_certificate_expired",
            Self::TlsCertificateNotYetValid => "tls_certificate_not_yet_valid",
            Self::TlsCertificateWrongHost => "tls_certificate_wrong_host",
            Self::TlsCertificateSelfSigned => "tls_certificate_self_signed",
            Self::TlsCertificateUnknownIssuer => "tls_certificate_unknown_issuer",
            Self::TlsCertificateInvalid => "tls_certificate_invalid",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether our own way out failed: that says nothing about the other side.
    pub fn is_our_own(self) -> bool {
        matches!(self, Self::ProxyUnreachable | Self::ProxyRefused)
    }

    /// Whether time ran out, in whichever phase.
    pub fn is_timeout(self) -> bool {
        matches!(self, Self::DnsTimeout | Self::ConnectTimeout | Self::TlsTimeout | Self::Timeout)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
