//! What the holder of a token may do: a role, perhaps confined to one application.
//!
//! ```text
//!              admin  send  read  application  portal
//! Manage         x
//! Look           x           x                          the environment as a whole
//! Catalog        x           x         x         x      event types
//! View           x           x         x         x      inside one application
//! Send           x     x               x
//! Reveal …       x                     x         (x)    with the capability that it takes
//! Own            x                     x
//! Leave                                          x
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use crate::id::ApplicationId;

/// What a token is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything in its environment.
    #[default]
    Admin,
    /// Creating messages, and nothing else.
    Send,
    /// Reading everything but secrets.
    Read,
    /// Everything inside one application.
    Application,
    /// What a customer does in the portal of one application.
    Portal,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] =
        [Role::Admin, Role::Send, Role::Read, Role::Application, Role::Portal];

    /// The stored number.
    pub fn number(self) -> i64 {
        match self {
            Role::Admin => 0,
            Role::Send => 1,
            Role::Read => 2,
            Role::Application => 3,
            Role::Portal => 4,
        }
    }

    /// The role of a stored number.
    pub fn from_number(number: i64) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.number() == number)
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Send => "send",
            Role::Read => "read",
            Role::Application => "application",
            Role::Portal => "portal",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of admin, send, read, application, portal")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// What the user of a portal may do. The names are those of the Svix SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Look at everything but secrets; every portal token has it.
    ViewBase,
    /// See signing secrets.
    ViewEndpointSecret,
    /// See and rotate signing secrets.
    ManageEndpointSecret,
    /// Change transformations.
    ManageTransformations,
    /// Resend, recover, replay, send examples.
    CreateAttempts,
    /// Create, change and delete endpoints, with all that belongs to them.
    ManageEndpoint,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Capability; 6] = [
        Capability::ViewBase,
        Capability::ViewEndpointSecret,
        Capability::ManageEndpointSecret,
        Capability::ManageTransformations,
        Capability::CreateAttempts,
        Capability::ManageEndpoint,
    ];

    /// As SDKs write it.
    pub fn name(self) -> &'static str {
        match self {
            Capability::ViewBase => "ViewBase",
            Capability::ViewEndpointSecret => "ViewEndpointSecret",
            Capability::ManageEndpointSecret => "ManageEndpointSecret",
            Capability::ManageTransformations => "ManageTransformations",
            Capability::CreateAttempts => "CreateAttempts",
            Capability::ManageEndpoint => "ManageEndpoint",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Capability::ViewBase => 1,
            Capability::ViewEndpointSecret => 2,
            Capability::ManageEndpointSecret => 4,
            Capability::ManageTransformations => 8,
            Capability::CreateAttempts => 16,
            Capability::ManageEndpoint => 32,
        }
    }
}

/// Some capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Every capability.
    pub fn all() -> Capabilities {
        Capability::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// The stored number: a bit for each.
    pub fn number(self) -> i64 {
        i64::from(self.0)
    }

    /// The capabilities of a stored number; bits that mean nothing give nothing.
    pub fn from_number(number: i64) -> Capabilities {
        let all = Capability::ALL.into_iter();
        all.filter(|capability| number & i64::from(capability.bit()) != 0).collect()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Capabilities {
        Capabilities(capabilities.into_iter().fold(0, |bits, one| bits | one.bit()))
    }
}

/// What a token allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// What it is for.
    pub role: Role,
    /// The only application that exists for its holder; none means all of the environment.
    pub application: Option<ApplicationId>,
    /// What a [`Role::Portal`] may do.
    pub capabilities: Capabilities,
    /// What a [`Role::Portal`] sees beside the event types without a flag.
    pub flags: Option<Arc<[String]>>,
}

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Changing what belongs to the environment, or seeing its secrets.
    Manage,
    /// Reading what belongs to the environment.
    Look,
    /// Reading event types.
    Catalog,
    /// Reading inside an application.
    View,
    /// Creating a message.
    Send,
    /// Seeing a secret of an application.
    Reveal,
    /// Replacing a signing secret.
    Rotate,
    /// Changing transformations.
    Transform,
    /// Asking for attempts.
    Attempt,
    /// Changing endpoints.
    Configure,
    /// Anything else inside an application.
    Own,
    /// Ending one's own session.
    Leave,
}

/// Why an operation is refused to a valid token: what it would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Another role, the least that may.
    #[error("the role {0}")]
    Role(Role),
    /// A capability that the portal's token does not have.
    #[error("the capability {}", .0.name())]
    Capability(Capability),
}

impl Right {
    /// The least of the roles that have it.
    pub fn least(self) -> Role {
        match self {
            Right::Manage => Role::Admin,
            Right::Look | Right::Catalog | Right::View => Role::Read,
            Right::Send => Role::Send,
            Right::Leave => Role::Portal,
            Right::Reveal
            | Right::Rotate
            | Right::Transform
            | Right::Attempt
            | Right::Configure
            | Right::Own => Role::Application,
        }
    }

    /// The capabilities each of which gives it to a portal; none does if the list is empty.
    fn capabilities(self) -> &'static [Capability] {
        use Capability::*;
        match self {
            Right::Catalog | Right::View => &[ViewBase],
            Right::Reveal => &[ViewEndpointSecret, ManageEndpointSecret, ManageEndpoint],
            Right::Rotate => &[ManageEndpointSecret, ManageEndpoint],
            Right::Transform => &[ManageTransformations, ManageEndpoint],
            Right::Attempt => &[CreateAttempts],
            Right::Configure => &[ManageEndpoint],
            Right::Manage | Right::Look | Right::Send | Right::Own | Right::Leave => &[],
        }
    }
}

impl Grant {
    /// Whether it includes `right`; in an application only if that is the grant's own, which is
    /// for the caller to check.
    ///
    /// # Errors
    /// [`Denied`] says what it would take.
    pub fn permits(&self, right: Right) -> Result<(), Denied> {
        let permitted = match self.role {
            Role::Admin => right != Right::Leave,
            Role::Send => right == Right::Send,
            Role::Read => match right {
                Right::Look => self.application.is_none(),
                other => matches!(other, Right::Catalog | Right::View),
            },
            Role::Application => !matches!(right, Right::Manage | Right::Look | Right::Leave),
            Role::Portal => return self.permits_portal(right),
        };
        if permitted { Ok(()) } else { Err(Denied::Role(right.least())) }
    }

    /// The flags of event types that its holder sees beside those without one; none means all.
    pub fn visible_flags(&self) -> Option<&[String]> {
        (self.role == Role::Portal).then(|| self.flags.as_deref().unwrap_or_default())
    }

    fn permits_portal(&self, right: Right) -> Result<(), Denied> {
        let takes = right.capabilities();
        if right == Right::Leave || takes.iter().any(|one| self.capabilities.has(*one)) {
            return Ok(());
        }
        Err(takes.first().map_or(Denied::Role(right.least()), |one| Denied::Capability(*one)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(role.number()), Some(role));
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!(Role::from_number(5), None);
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
        for bits in 0..64 {
            let some = Capabilities::from_number(bits);
            assert_eq!(some.number(), bits);
        }
        assert_eq!(Capabilities::from_number(64), Capabilities::default());
    }

    #[test]
    fn a_portal_does_what_its_capabilities_say() {
        let check = |capabilities: &[Capability], right, expect: Result<(), Denied>| {
            let capabilities = capabilities.iter().copied().collect();
            let grant = Grant { role: Role::Portal, capabilities, ..Grant::default() };
            assert_eq!(grant.permits(right), expect, "{capabilities:?} {right:?}");
        };
        use Capability::*;
        check(&[ViewBase], Right::View, Ok(()));
        check(&[ViewBase], Right::Catalog, Ok(()));
        check(&[ViewBase], Right::Leave, Ok(()));
        check(&[ViewBase], Right::Reveal, Err(Denied::Capability(ViewEndpointSecret)));
        check(&[ViewEndpointSecret], Right::Reveal, Ok(()));
        check(&[ViewEndpointSecret], Right::Rotate, Err(Denied::Capability(ManageEndpointSecret)));
        check(&[ManageEndpointSecret], Right::Reveal, Ok(()));
        check(&[ManageEndpointSecret], Right::Rotate, Ok(()));
        check(&[ManageEndpointSecret], Right::Configure, Err(Denied::Capability(ManageEndpoint)));
        check(&[ManageEndpoint], Right::Rotate, Ok(()));
        check(&[ManageEndpoint], Right::Transform, Ok(()));
        check(&[ManageEndpoint], Right::Attempt, Err(Denied::Capability(CreateAttempts)));
        check(&[CreateAttempts], Right::Attempt, Ok(()));
        for right in [Right::Manage, Right::Look, Right::Send, Right::Own] {
            check(&Capability::ALL, right, Err(Denied::Role(right.least())));
        }
    }

    #[test]
    fn who_reads_one_application_does_not_see_the_others() {
        let id = ApplicationId(crate::id::Id { key: 1, shard: 0, nonce: 2 });
        let confined = Grant { role: Role::Read, application: Some(id), ..Grant::default() };
        assert_eq!(confined.permits(Right::View), Ok(()));
        assert_eq!(confined.permits(Right::Look), Err(Denied::Role(Role::Read)));
    }
}
