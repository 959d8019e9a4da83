//! Why a component was given no bytes of a file: errors of WASI, or a trap where the embedder is at fault.

use mappable::{FileError, HandleError};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode as LaterCode;

/// What both versions of WASI know of it: all codes are in 0.2.
pub(crate) fn of_file(error: &FileError) -> ErrorCode {
    tracing::debug!(%error, "a component asked for bytes of a file");
    match error {
        FileError::Directory => ErrorCode::IsDirectory,
        FileError::NoPages(_) => ErrorCode::NoDevice,
        FileError::OverLimit { .. } => ErrorCode::InsufficientMemory,
        FileError::NotSealed => ErrorCode::NotPermitted,
        FileError::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => ErrorCode::InsufficientMemory,
        FileError::Io(error) => error.into(),
        _ => ErrorCode::Io,
    }
}

/// A trap where the store's context is another runtime's.
pub(crate) fn of_handle(error: HandleError) -> FsError {
    match error {
        HandleError::OverQuota => ErrorCode::InsufficientMemory.into(),
        error => FsError::trap(error),
    }
}

macro_rules! same_in_both {
    ($($code:ident)*) => {
        /// The code of WASI 0.3.
        pub(crate) fn later(code: ErrorCode) -> LaterCode {
            match code {
                // There is no such thing there: what would block is waited for.
                ErrorCode::WouldBlock => LaterCode::Other(Some("would block".to_owned())),
                $(ErrorCode::$code => LaterCode::$code,)*
            }
        }
    };
}

same_in_both! {
    Access Already BadDescriptor Busy Deadlock Quota Exist FileTooLarge IllegalByteSequence InProgress Interrupted Invalid Io
    IsDirectory Loop TooManyLinks MessageSize NameTooLong NoDevice NoEntry NoLock InsufficientMemory InsufficientSpace
    NotDirectory NotEmpty NotRecoverable Unsupported NoTty NoSuchDevice Overflow NotPermitted Pipe ReadOnly InvalidSeek
    TextFileBusy CrossDevice
}
