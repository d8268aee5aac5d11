//! The names of an enum's variants, for the labels of metrics: made of the enum, so that they cannot differ from it.

/// Adds `NAMES`, in the order of `ALL`, to an enum that has `ALL` and `as_str`.
macro_rules! names {
    ($type:ty) => {
        impl $type {
            /// The names of all variants, in the order of [`Self::ALL`].
            pub const NAMES: [&'static str; Self::ALL.len()] = {
                let mut names = [""; Self::ALL.len()];
                let mut i = 0;
                while i < names.len() {
                    names[i] = Self::ALL[i].as_str();
                    i += 1;
                }
                names
            };
        }
    };
}
