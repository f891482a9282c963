//! `forwarder TAP TAP`: makes two TAP devices and passes every super-frame from one to the other.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use l2mesh_io::forwarder::Forwarder;

fn main() -> Result<(), Box<dyn Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [left, right] = &names[..] else { return Err("TAP TAP".into()) };
    let mut forwarder = Forwarder::new([left, right])?;
    println!("ready");
    Ok(forwarder.run()?)
}
