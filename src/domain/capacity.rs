//! Capacity units: what desired capacity, min size and max size count. Without weights each instance is one unit.

use std::fmt;
use std::iter::Sum;
use std::num::ParseIntError;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number of capacity units. An instance counts as many as its weight. Instances are counted in `u32`, so that the two
/// are never compared by mistake.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Units(u32);

impl Units {
    pub const ZERO: Self = Self(0);
    /// The weight of an instance in a group without weights.
    pub const ONE: Self = Self(1);
    pub const MAX: Self = Self(u32::MAX);

    pub const fn new(units: u32) -> Self {
        Self(units)
    }

    /// The default where the journal does not say a weight.
    pub const fn one() -> Self {
        Self::ONE
    }

    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<u32> for Units {
    fn from(units: u32) -> Self {
        Self(units)
    }
}

impl Add for Units {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Units {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Units {
    fn sum<I: Iterator<Item = Self>>(units: I) -> Self {
        units.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Units {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}
