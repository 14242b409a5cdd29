//! What a receiver asks for in a header of its answer.

use http::HeaderMap;

/// What a receiver asks for in the header `webhook-delivery` of its answer, whatever the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// `disable`: nothing more is to be sent to it.
    Disable,
    /// `abort-message`: this message is not to be sent again.
    Abort,
}

impl Control {
    /// What an answer's headers ask for.
    pub(super) fn of(headers: &HeaderMap) -> Option<Control> {
        let values = headers.get_all("webhook-delivery").iter();
        let words = values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
        let said = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
            "disable" => Some(Control::Disable),
            "abort-message" => Some(Control::Abort),
            _ => None,
        };
        // Who asks for both wants nothing more at all.
        words.filter_map(said).min_by_key(|control| *control != Control::Disable)
    }

    /// Why an attempt had this consequence, in a word that stays the same.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Control::Disable => "disabled_by_receiver",
            Control::Abort => "aborted_by_receiver",
        }
    }
}
