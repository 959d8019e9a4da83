//! Two processes. One hands a region to the other, whose component inverts it, and has it back; then it shows the other frozen bytes.
//! No byte is copied.
//!
//! Run it: `cargo run -p mappable --example processes`

#![allow(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn main() {
    println!("regions go between processes on 64-bit Linux");
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn main() -> anyhow::Result<()> {
    // The other process is this program, too, and is told where to connect.
    match std::env::args_os().nth(1) {
        None => linux::first(),
        Some(path) => linux::second(path.as_ref()),
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux {
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Result, bail, ensure};
    use mappable::ipc::{Afterwards, Connection, Listener, ReceiveError, Received, Settings};
    use mappable::{GRANULE, Handle, MappableCtx, MappableView, Runtime, Trust};
    use wasmtime::component::Linker;

    struct State {
        mappable: MappableCtx,
    }

    impl MappableView for State {
        fn mappable(&mut self) -> &mut MappableCtx {
            &mut self.mappable
        }
    }

    // ANCHOR: trust
    fn settings() -> Settings {
        // SAFETY: the other end is this program, too, and writes to nothing that it has given away or that is frozen.
        Settings::new(unsafe { Trust::peer() })
    }
    // ANCHOR_END: trust

    pub(super) fn first() -> Result<()> {
        let runtime = Runtime::new()?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("regions");
        // ANCHOR: first
        let listener = Listener::bind(&path)?;
        let mut other = Command::new(std::env::current_exe()?).arg(&path).spawn()?;
        let connection = listener.accept(&runtime, settings())?;

        // Alone in a file, so that the other process can have it as it is.
        let mut region = runtime.allocate_exportable(GRANULE)?;
        region.bytes_mut()?.fill(0x0f);
        connection.send(region, 1, Afterwards::GiveBack)?; // the other process owns it
        let Received::Returned { region, tag: 1 } = connection.receive()? else { bail!("something else came") };
        ensure!(region.bytes()?.iter().all(|&byte| byte == 0xf0), "it was not inverted"); // and this one again

        let frozen = region.freeze()?;
        connection.send_frozen(&frozen, 2)?; // both may read it
        connection.settle()?; // the other process is done with it
        // ANCHOR_END: first
        let region = frozen.thaw().map_err(|_| anyhow::anyhow!("there is another reference"))?;
        drop(connection);
        ensure!(other.wait()?.success(), "the other process has failed");
        println!("{} bytes inverted by another process, and read by both", region.len());
        Ok(())
    }

    pub(super) fn second(path: &Path) -> Result<()> {
        let runtime = Runtime::new()?;
        let component = runtime.compile(include_bytes!("guests/invert.wat"))?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        let mut store = runtime.store(State { mappable: runtime.context() });
        let instance = linker.instantiate(&mut store, &component)?;
        let invert = instance.get_typed_func::<(Handle,), (Handle,)>(&mut store, "invert")?;

        // ANCHOR: second
        let connection = Connection::connect(&runtime, path, settings())?;
        loop {
            match connection.receive() {
                Ok(Received::Region { region, .. }) => {
                    let handle = store.data_mut().mappable.insert(region)?;
                    let (handle,) = invert.call(&mut store, (handle,))?;
                    drop(store.data_mut().mappable.remove(handle)?); // goes back to who sent it
                }
                Ok(Received::Frozen { frozen, .. }) => ensure!(frozen[..].iter().all(|&byte| byte == 0xf0)),
                Ok(_) => bail!("something else came"),
                Err(ReceiveError::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        // ANCHOR_END: second
    }
}
