//! The machinery behind a declared setting: how it is named, set, checked and shown.

/// A value as a source wrote it, before its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// A scalar of the file, a variable or a flag; a list setting splits it at commas.
    Text(String),
    /// An array of the file.
    List(Vec<String>),
}

/// A type a setting can have.
pub(crate) trait Value: Sized {
    /// Reads the value; the error says what it must be, without repeating a secret.
    fn read(raw: &Raw) -> Result<Self, String>;

    /// The value for a dump.
    fn show(&self) -> Shown;
}

/// What a dump shows of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As TOML writes it.
    Toml(String),
    /// There is none.
    Unset,
    /// There is one, and it is nobody's business.
    Secret,
}

/// Where a setting stands and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Empty for root keys.
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    /// The declaration's doc comment.
    pub(crate) doc: &'static str,
}

impl At {
    /// `delivery.timeout`; root keys stand alone.
    pub(crate) fn path(self) -> String {
        if self.section.is_empty() {
            return self.key.to_owned();
        }
        format!("{}.{}", self.section, self.key)
    }

    /// `RINGBACK_DELIVERY_TIMEOUT`. A section's `url` says what the section is about, and so its
    /// variable is the section's alone: `RINGBACK_STORE`, as the flag is `--store`.
    pub(crate) fn variable(self) -> String {
        let path = self.path();
        let named = path.strip_suffix(".url").unwrap_or(&path);
        format!("RINGBACK_{}", named.replace('.', "_").to_uppercase())
    }
}

/// One setting's place in a [`Section`], its type erased.
pub(crate) trait Slot {
    fn set(&mut self, raw: &Raw) -> Result<(), String>;
    fn show(&self) -> Shown;
}

/// The bounds of one setting; the error says what the value must be.
pub(crate) type Check<T> = Box<dyn Fn(&T) -> Result<(), String>>;

/// A value together with the bounds its declaration gives it.
pub(crate) struct Checked<'a, T> {
    pub(crate) value: &'a mut T,
    pub(crate) check: Check<T>,
}

impl<T: Value> Slot for Checked<'_, T> {
    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let value = T::read(raw)?;
        (self.check)(&value)?;
        *self.value = value;
        Ok(())
    }

    fn show(&self) -> Shown {
        self.value.show()
    }
}

/// A struct of settings made by [`settings!`].
pub(crate) trait Section: Default {
    /// Shows every setting in the order of declaration.
    fn visit(&mut self, visitor: &mut dyn FnMut(At, &mut dyn Slot));
}

/// Declares a struct whose fields are settings: `/// doc`, `key: Type = default;` or
/// `key: Type = default, check;`, with `check: impl Fn(&Type) -> Result<(), String>`.
macro_rules! settings {
    (@check) => { |_| Ok(()) };
    (@check $check:expr) => { $check };
    (
        $(#[$outer:meta])*
        pub struct $name:ident in $section:literal {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr $(, $check:expr)?; )+
        }
        $( sections { $( $(#[doc = $inner_doc:literal])+ $inner:ident: $inner_type:ty; )+ } )?
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $key: $type, )+
            $( $( $(#[doc = $inner_doc])+ pub $inner: $inner_type, )+ )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $key: $default, )+
                    $( $( $inner: <$inner_type>::default(), )+ )?
                }
            }
        }

        impl $crate::config::setting::Section for $name {
            fn visit(
                &mut self,
                visitor: &mut dyn FnMut(
                    $crate::config::setting::At,
                    &mut dyn $crate::config::setting::Slot,
                ),
            ) {
                $(
                    let at = $crate::config::setting::At {
                        section: $section,
                        key: stringify!($key),
                        doc: concat!($($doc, "\n"),+),
                    };
                    let check: $crate::config::setting::Check<$type> =
                        Box::new($crate::config::setting::settings!(@check $($check)?));
                    visitor(
                        at,
                        &mut $crate::config::setting::Checked { value: &mut self.$key, check },
                    );
                )+
                $( $( self.$inner.visit(visitor); )+ )?
            }
        }
    };
}

pub(crate) use settings;
