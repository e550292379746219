//! The parse worker: the same binary as a short-lived process that reads one uploaded file and
//! nothing else.
//!
//! A billing file is hostile until proven otherwise. The worker has a limit on memory and on CPU
//! time that the kernel enforces, an empty environment, no store and no keys; if it is killed, only
//! that file is refused.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::ExitCode,
};

use columns::{BlockLimits, BlockWriter, EncodedBlock};
use domain::{Account, Charge, FileError};
use jiff::Timestamp;
use parsers::{ChargeAccount, ChargeSink, HEAD_BYTES, ParseOptions, SinkError};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::frames::{BLOCK, Order, REPORT, WireReport, encode_block};

/// Name of the hidden command that runs a worker.
pub const COMMAND: &str = "parse-worker";
const MEMORY_BYTES_MAX: u64 = 1 << 30;
const CPU_SECONDS_MAX: u64 = 600;

/// Reads an order and a file from standard input and writes blocks and a report to standard output.
#[must_use]
pub fn main() -> ExitCode {
    let limited = limit(Resource::As, MEMORY_BYTES_MAX).and(limit(Resource::Cpu, CPU_SECONDS_MAX));
    let worked = limited
        .map_err(io::Error::from)
        .and_then(|()| work(&mut io::stdin().lock(), &mut io::stdout().lock()));
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For whoever runs it by hand: the server drops it. It holds nothing of the file.
            let _written = writeln!(io::stderr(), "parse worker: {}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn limit(resource: Resource, maximum: u64) -> rustix::io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })
}

fn work(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line).map_err(io::Error::other)?;
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let report = parse(&order, &head, &mut input, output)?;
    let report = serde_json::to_vec(&report).map_err(io::Error::other)?;
    write_frame(output, REPORT, &report)?;
    output.flush()
}

/// What the file turned out to be. Only a broken pipe is an error here.
fn parse(
    order: &Order,
    head: &[u8],
    rest: &mut dyn Read,
    output: &mut dyn Write,
) -> io::Result<WireReport> {
    let parser = match parsers::detect(&order.name, head) {
        Ok(parser) => parser,
        Err(error) => return Ok(WireReport::refusal(error.to_file_error())),
    };
    let now = Timestamp::from_microsecond(order.now_micros).map_err(io::Error::other)?;
    let options = ParseOptions {
        provider: order.provider.clone(),
        account: order.account.clone(),
        on_error: order.on_error(),
        ..ParseOptions::new(now)
    };
    let mut sink = FrameSink::new(order, output);
    let parsed = parser.parse(&mut head.chain(rest), &options, &mut sink);
    sink.finish()?;
    Ok(match parsed {
        Ok(report) => {
            let is_refused = !report.errors.is_empty() && !order.skip_bad_rows;
            let report = report.into_file_report(parser.descriptor().id);
            WireReport::new(report, is_refused)
        }
        Err(error) if error.is_permanent() => WireReport::refusal(error.to_file_error()),
        Err(error) => return Err(io::Error::other(error)),
    })
}

fn write_frame(output: &mut dyn Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    output.write_all(&[kind])?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(payload)
}

/// Turns charges into blocks and writes them out as they fill.
struct FrameSink<'a> {
    output: &'a mut dyn Write,
    unnamed_account: String,
    writer: Option<BlockWriter>,
    /// The last line's account: mostly the next line's too.
    account: Option<Account>,
    failure: Option<io::Error>,
}

impl<'a> FrameSink<'a> {
    fn new(order: &Order, output: &'a mut dyn Write) -> FrameSink<'a> {
        let unnamed_account = order.unnamed_account.clone();
        FrameSink { output, unnamed_account, writer: None, account: None, failure: None }
    }

    fn finish(mut self) -> io::Result<()> {
        let (output, failure) = (&mut self.output, &mut self.failure);
        if let Some(writer) = self.writer.take() {
            writer.finish(&mut |block| emit(output, failure, &block));
        }
        self.failure.map_or(Ok(()), Err)
    }
}

fn emit(output: &mut &mut dyn Write, failure: &mut Option<io::Error>, block: &EncodedBlock) {
    if failure.is_none()
        && let Err(error) = write_frame(output, BLOCK, &encode_block(block))
    {
        *failure = Some(error);
    }
}

impl ChargeSink for FrameSink<'_> {
    fn columns(&mut self, extra: &[String]) -> Result<(), SinkError> {
        self.writer = Some(BlockWriter::new(BlockLimits::default(), extra.to_vec()));
        Ok(())
    }

    fn push(
        &mut self,
        account: &ChargeAccount<'_>,
        charge: &Charge<'_>,
        extra: &[Option<&str>],
    ) -> Result<(), SinkError> {
        let id = account.account.unwrap_or(&self.unnamed_account);
        let is_same = |known: &Account| known.id == id && known.provider == *account.provider;
        if !self.account.as_ref().is_some_and(is_same) {
            self.account = Some(Account { provider: account.provider.clone(), id: id.to_owned() });
        }
        let (Some(writer), Some(account)) = (&mut self.writer, &self.account) else {
            return Err(SinkError::new("a charge came before the columns"));
        };
        let (output, failure) = (&mut self.output, &mut self.failure);
        writer.push(account, charge, extra, &mut |block| emit(output, failure, &block));
        match self.failure.take() {
            None => Ok(()),
            Some(error) => Err(SinkError::new(error)),
        }
    }
}

/// A refusal of the whole file for a reason outside its content.
pub(crate) fn refused(code: &str, message: &str) -> FileError {
    FileError { row: None, column: None, code: code.to_owned(), message: message.to_owned() }
}
