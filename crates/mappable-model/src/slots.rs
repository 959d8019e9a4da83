//! A table of values by number. The lowest free number is taken first and no free ones are kept at the end, so that
//! tables which hold the same are equal.

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slots<T>(Vec<Option<T>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free == self.0.len() {
            self.0.push(None);
        }
        self.0[free] = Some(value);
        free
    }

    pub(crate) fn remove(&mut self, number: usize) -> Option<T> {
        let value = self.0.get_mut(number)?.take();
        while matches!(self.0.last(), Some(None)) {
            self.0.pop();
        }
        value
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.0.get(number)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.0.get_mut(number)?.as_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(number, value)| Some((number, value.as_ref()?)))
    }
}
