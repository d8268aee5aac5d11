//! Lists of names for the labels of metrics. They are made from what they name, so that they cannot differ from it.

/// The names of a list's items, as a constant array: `names_of!(LIST, |item| item.function)`.
macro_rules! names_of {
    ($list:expr, |$item:ident| $name:expr) => {{
        let mut names = [""; $list.len()];
        let mut i = 0;
        while i < names.len() {
            let $item = $list[i];
            names[i] = $name;
            i += 1;
        }
        names
    }};
}

/// Adds `NAMES`, in the order of `ALL`, to an enum that has `ALL` and `as_str`.
macro_rules! names {
    ($type:ty) => {
        impl $type {
            /// The names of all variants, in the order of [`Self::ALL`].
            pub const NAMES: [&'static str; Self::ALL.len()] =
                names_of!(Self::ALL, |variant| variant.as_str());
        }
    };
}

/// Writes lists of texts one behind the other, from the beginning.
pub(crate) const fn fill(names: &mut [&'static str], lists: &[&[&'static str]]) {
    let (mut place, mut list) = (0, 0);
    while list < lists.len() {
        let mut i = 0;
        while i < lists[list].len() {
            names[place] = lists[list][i];
            (place, i) = (place + 1, i + 1);
        }
        list += 1;
    }
}

/// Whether two texts are the same, for constants.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut i = 0;
    while i < one.len() && i < other.len() && one[i] == other[i] {
        i += 1;
    }
    i == one.len() && i == other.len()
}

/// Whether a text is among the first of these, for constants.
pub(crate) const fn is_among(names: &[&str], first: usize, name: &str) -> bool {
    let mut i = 0;
    while i < first {
        if is_same(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

/// How many different texts there are.
pub(crate) const fn count_unique(names: &[&str]) -> usize {
    let (mut count, mut i) = (0, 0);
    while i < names.len() {
        if !is_among(names, i, names[i]) {
            count += 1;
        }
        i += 1;
    }
    count
}

/// Each text once, in the order of their first places; `N` is [`count_unique`].
pub(crate) const fn unique<const N: usize>(names: &[&'static str]) -> [&'static str; N] {
    let (mut found, mut count, mut i) = ([""; N], 0, 0);
    while i < names.len() {
        if !is_among(names, i, names[i]) {
            found[count] = names[i];
            count += 1;
        }
        i += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_at_its_first_place() {
        const NAMES: [&str; 5] = ["b", "a", "b", "ab", "a"];
        assert_eq!(count_unique(&NAMES), 3);
        assert_eq!(unique::<3>(&NAMES), ["b", "a", "ab"]);
    }
}
