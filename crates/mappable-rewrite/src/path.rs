//! Paths of components in a tree.

use std::fmt;

/// Where in the tree a component is: the indices, each in its parent's index space of components, that lead to it.
/// Printed as `root` or `root/2/0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentPath(pub Vec<u32>);

impl fmt::Display for ComponentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")?;
        self.0.iter().try_for_each(|index| write!(f, "/{index}"))
    }
}
