//! What Svix's ingest API calls providers that have another id here.

/// The SDK's word and ours.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("adobe-sign", "adobe-acrobat-sign"),
    ("hubspot", "hubspot-v3"),
    ("merge", "merge-dev"),
    ("open-ai", "openai"),
    ("panda-doc", "pandadoc"),
    ("stych", "stytch"),
];

/// The provider that a `type` names.
pub(super) fn provider(kind: &str) -> &str {
    OTHER_NAMES.iter().find(|(theirs, _)| *theirs == kind).map_or(kind, |(_, ours)| ours)
}

/// The `type` of a provider: the word that the SDKs know, where they know one.
pub(super) fn kind(provider: &str) -> &str {
    OTHER_NAMES.iter().find(|(_, ours)| *ours == provider).map_or(provider, |(theirs, _)| theirs)
}
