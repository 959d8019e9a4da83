//! The program that is measured, built from one source for each way of having a file's bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What builds them.
#[derive(Debug, clap::Args)]
pub(super) struct Tools {
    /// The compiler of C for WebAssembly and for this machine, with wasi-libc
    #[arg(long, default_value = "clang-19")]
    clang: PathBuf,

    /// The folder with the library for C, built by its build.sh
    #[arg(long, value_name = "DIR", default_value = "sdk/c")]
    sdk: PathBuf,

    /// The command `mappable`; the one beside this, or that which the shell finds, unless told
    #[arg(long, value_name = "MAPPABLE")]
    command: Option<PathBuf>,
}

/// Where they are.
pub(super) struct Programs {
    pub(super) native: PathBuf,
    /// Calls `mmap` of our library.
    pub(super) mapped: PathBuf,
    /// Calls `pread`.
    pub(super) read: PathBuf,
    /// Calls `mmap` of wasi-libc.
    pub(super) emulated: PathBuf,
    /// A core module whose host calls `mmap` of this machine.
    pub(super) hosted: PathBuf,
}

/// The same for all. With SIMD of 128 bits everywhere, which this machine's compiler takes for granted.
const FLAGS: [&str; 2] = ["-O2", "-w"];
// Without what Debian's wasi-libc has for debuggers, which keeps loops as they are (docs/src/architecture.md).
const WASM: [&str; 3] = ["--target=wasm32-wasi", "-msimd128", "-Wl,--strip-debug"];

impl Tools {
    /// Builds them into a folder.
    pub(super) fn build(&self, folder: &Path) -> Result<Programs> {
        let source = folder.join("files.c");
        fs::write(&source, include_str!("files.c"))?;
        let library = self.sdk.join("lib/libmappable.a");
        ensure!(library.exists(), "there is no {}: run build.sh there, or say where it is (--sdk)", library.display());
        let native = folder.join("native");
        self.compile(&source, &native, &[])?;
        let config = format!("--config={}", self.sdk.join("mappable.cfg").display());
        let component = |name: &str, flags: &[&str]| {
            let module = folder.join(name).with_extension("module.wasm");
            self.compile(&source, &module, &[&WASM, flags].concat())?;
            self.component(&module, folder.join(name).with_extension("wasm"))
        };
        let hosted = folder.join("hosted.wasm");
        self.compile(&source, &hosted, &[&WASM[..], &["-DHOSTED", "-nostartfiles", "-Wl,--no-entry"]].concat())?;
        Ok(Programs {
            native,
            hosted,
            mapped: component("mapped", &[&config])?,
            read: component("read", &["-DSTOCK", "-DREADS"])?,
            emulated: component("emulated", &["-DSTOCK", "-D_WASI_EMULATED_MMAN", "-lwasi-emulated-mman"])?,
        })
    }

    fn compile(&self, source: &Path, output: &Path, flags: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.clang);
        run(command.args(FLAGS).args(flags).arg(source).arg("-o").arg(output))
    }

    fn component(&self, module: &Path, output: PathBuf) -> Result<PathBuf> {
        let mut command = Command::new(crate::command::mappable(self.command.as_deref())?);
        run(command.arg("component").arg(module).arg("-o").arg(&output))?;
        Ok(output)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let done = command.output().with_context(|| program.clone())?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program}: {}: {}", done.status, said.trim());
    Ok(())
}
