//! The stages' arguments, which are text.

use crate::blur;
use crate::encode::Level;
use crate::{Error, Geometry, sharpen};

/// Returns the one optional argument, or an error that names the second one.
fn at_most_one<'a>(arguments: &'a [String], expected: &'static str) -> Result<Option<&'a str>, Error> {
    match arguments {
        [] => Ok(None),
        [argument] => Ok(Some(argument.trim())),
        [_, extra, ..] => Err(Error::BadArgument { argument: extra.clone(), expected }),
    }
}

fn bad(argument: &str, expected: &'static str) -> Error {
    Error::BadArgument { argument: argument.to_owned(), expected }
}

/// No argument.
///
/// # Errors
///
/// There is an argument.
pub fn none(arguments: &[String]) -> Result<(), Error> {
    match arguments.first() {
        None => Ok(()),
        Some(extra) => Err(bad(extra, "no argument")),
    }
}

/// A radius in pixels; [`blur::DEFAULT_RADIUS`] when there is none.
///
/// # Errors
///
/// It is not a whole number up to [`blur::MAX_RADIUS`].
pub fn radius(arguments: &[String]) -> Result<u32, Error> {
    const EXPECTED: &str = "a radius in pixels, a whole number from 0 to 100";
    let Some(argument) = at_most_one(arguments, EXPECTED)? else {
        return Ok(blur::DEFAULT_RADIUS);
    };
    argument.parse().ok().filter(|&radius| radius <= blur::MAX_RADIUS).ok_or_else(|| bad(argument, EXPECTED))
}

/// How much to sharpen; 1 when there is none.
///
/// # Errors
///
/// It is not a number from 0 to 10.
pub fn amount(arguments: &[String]) -> Result<sharpen::Amount, Error> {
    const EXPECTED: &str = "an amount, a number from 0 to 10";
    let argument = at_most_one(arguments, EXPECTED)?.unwrap_or("1");
    argument.parse().ok().and_then(sharpen::Amount::new).ok_or_else(|| bad(argument, EXPECTED))
}

/// How hard to compress; [`Level::Fast`] when there is none.
///
/// # Errors
///
/// It is not the name of a level.
pub fn level(arguments: &[String]) -> Result<Level, Error> {
    const EXPECTED: &str = "a level: fast, default or best";
    match at_most_one(arguments, EXPECTED)? {
        None | Some("fast") => Ok(Level::Fast),
        Some("default") => Ok(Level::Default),
        Some("best") => Ok(Level::Best),
        Some(argument) => Err(bad(argument, EXPECTED)),
    }
}

/// The new geometry of a picture: `WIDTHxHEIGHT`, `WIDTH` or `WIDTHx`, `xHEIGHT`, or `PERCENT%`.
///
/// The side that is not given keeps the proportions, and is 1 at least.
///
/// # Errors
///
/// The text has none of these forms, or the picture would be empty or too large.
pub fn size(arguments: &[String], geometry: Geometry) -> Result<Geometry, Error> {
    const EXPECTED: &str = "a size in pixels, as 800x600, 800x or x600, or a percentage, as 50%";
    let argument = at_most_one(arguments, EXPECTED)?.unwrap_or("");
    let (width, height) = (geometry.width() as u64, geometry.height() as u64);
    let side = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| bad(argument, EXPECTED));
    // To the nearest pixel; 2^32 * 2^29 fits.
    let scaled = |of: u64, new: u64, old: u64| ((of * new + old / 2) / old).max(1);
    let (new_width, new_height) = if let Some(percent) = argument.strip_suffix('%') {
        let percent = percent.parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent <= 100_000.0);
        let percent = percent.ok_or_else(|| bad(argument, EXPECTED))?;
        let scale = |side: u64| ((side as f64 * percent / 100.0).round() as u64).max(1);
        (scale(width), scale(height))
    } else {
        match argument.split_once(['x', 'X']) {
            Some(("", new_height)) => {
                let new_height = side(new_height)?;
                (scaled(width, new_height, height), new_height)
            }
            Some((new_width, "")) => {
                let new_width = side(new_width)?;
                (new_width, scaled(height, new_width, width))
            }
            None => {
                let new_width = side(argument)?;
                (new_width, scaled(height, new_width, width))
            }
            Some((new_width, new_height)) => (side(new_width)?, side(new_height)?),
        }
    };
    match (u32::try_from(new_width), u32::try_from(new_height)) {
        (Ok(new_width), Ok(new_height)) => Geometry::new(geometry.pixels(), new_width, new_height),
        _ => Err(Error::TooLarge { width: new_width, height: new_height }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pixels;

    fn list(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|&argument| argument.to_owned()).collect()
    }

    #[test]
    fn radii() {
        assert_eq!(radius(&[]), Ok(3));
        assert_eq!(radius(&list(&["0"])), Ok(0));
        assert_eq!(radius(&list(&["100"])), Ok(100));
        for wrong in ["101", "-1", "2.5", "", "big"] {
            assert!(matches!(radius(&list(&[wrong])), Err(Error::BadArgument { .. })), "{wrong}");
        }
        let error = radius(&list(&["1", "2"])).unwrap_err().to_string();
        assert_eq!(
            error,
            "the argument \"2\" is not understood: expected a radius in pixels, a whole number from 0 to 100"
        );
    }

    #[test]
    fn sizes() {
        let geometry = Geometry::new(Pixels::Rgba8, 400, 200).unwrap();
        let sides = |argument: &str| size(&list(&[argument]), geometry).map(|to| (to.width(), to.height()));
        assert_eq!(sides("10x20"), Ok((10, 20)));
        assert_eq!(sides("100"), Ok((100, 50)));
        assert_eq!(sides("100x"), Ok((100, 50)));
        assert_eq!(sides("x100"), Ok((200, 100)));
        assert_eq!(sides("50%"), Ok((200, 100)));
        assert_eq!(sides("0.1%"), Ok((1, 1)));
        assert_eq!(sides("1"), Ok((1, 1)));
        assert_eq!(sides("0"), Err(Error::Empty { width: 0, height: 1 }));
        assert!(matches!(sides("4000000000x4000000000"), Err(Error::TooLarge { .. })));
        assert!(matches!(sides("4000000000"), Err(Error::TooLarge { .. })));
        assert!(matches!(sides("x4294967295"), Err(Error::TooLarge { .. })));
        for wrong in ["", "x", "axb", "10x20x30", "0%", "NaN%", "inf%", "-5", "%"] {
            assert!(matches!(sides(wrong), Err(Error::BadArgument { .. })), "{wrong}");
        }
    }

    #[test]
    fn levels_and_amounts() {
        assert_eq!(level(&[]), Ok(Level::Fast));
        assert_eq!(level(&list(&["best"])), Ok(Level::Best));
        assert!(level(&list(&["9"])).is_err());
        assert!(amount(&list(&["1.5"])).is_ok());
        assert!(amount(&list(&["NaN"])).is_err());
        assert!(amount(&list(&["11"])).is_err());
        assert!(none(&list(&["x"])).is_err());
    }
}
