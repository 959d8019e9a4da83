//! Converts errors between ours and the encoder's.

use wasm_encoder::reencode::Error;

use crate::error::{ReadError, RewriteError, broken};

/// What writing a part of a component returns.
pub(crate) type EmitResult<T = ()> = Result<T, Error<RewriteError>>;

/// An error of ours, within one of the encoder's.
pub(crate) fn user(error: RewriteError) -> Error<RewriteError> {
    Error::UserError(error)
}

/// Why a component that was read was not written.
pub(crate) fn refusal(error: Error<RewriteError>) -> RewriteError {
    match error {
        Error::UserError(error) => error,
        Error::ParseError(source) => ReadError::Invalid(source).into(),
        other => broken!("the component was read but can't be written: {other}"),
    }
}
