//! The worker process.
//!
//! Two threads: `main` reads requests and writes answers; a second one with a large stack, since yrs recurses
//! once for each level of nesting, does the work. `main` waits for it no longer than agreed and then ends the
//! process, so that a worker whose parent was killed does not spin on as an orphan.

use std::{
    io, panic,
    process::ExitCode,
    sync::{
        Mutex,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use rlimit::Resource;

use crate::{
    difference::{self, Difference},
    document::Document,
    limited::Limited,
    wire::{self, Answer, ContentRequest, Question, Refusal, Setup},
};

/// Stack of the working thread. yrs takes about 280 bytes a level, so this lasts for some 900,000 levels.
const STACK_BYTES: usize = 256 << 20;

/// Address space beyond stack and documents: the program, its libraries, what the allocator reserves.
const BASE_BYTES: u64 = 512 << 20;

/// Where the last panic was. Written by the hook, read by whoever caught the panic.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

struct Job {
    question: Question,
    body: Vec<u8>,
}

/// An answer, with its body in two pieces.
type Answered = (Answer, [Vec<u8>; 2]);

/// Answers questions about documents from standard input on standard output until the input ends.
///
/// The main function of a view worker, and for the process that a [`Pool`](crate::Pool) starts only: it limits the
/// process' address space, forbids core dumps and takes over the panic hook. Call it before anything is started
/// that needs threads or memory, an async runtime above all.
pub fn run_worker() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens: the parent reads the exit status, or is gone.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let Some((setup, _)) = wire::read::<Setup>(&mut input, 0)? else { return Ok(()) };
    let address_space = setup.memory_bytes.saturating_add(BASE_BYTES).saturating_add(STACK_BYTES as u64);
    Resource::AS.set(address_space, address_space)?;
    // A dump would lay the document open on the disk.
    Resource::CORE.set(0, 0)?;
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(|at| {
            let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
            format!("{file}:{}", at.line())
        });
        if let Ok(mut place) = PANICKED_AT.lock() {
            *place = at;
        }
    }));

    let (jobs, job) = mpsc::sync_channel::<Job>(0);
    let (answers, answer) = mpsc::sync_channel(0);
    let limit = setup.max_answer_bytes as usize;
    thread::Builder::new()
        .name("view".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || work(&job, &answers, limit))?;

    let give_up = Duration::from_millis(setup.give_up_millis);
    while let Some((question, body)) = wire::read(&mut input, setup.max_question_bytes as usize)? {
        jobs.send(Job { question, body }).map_err(io::Error::other)?;
        let answer = answer.recv_timeout(give_up).map_err(io::Error::other)?;
        match answer {
            Ok((answer, [first, second])) => wire::write(&mut output, &answer, &[&first, &second])?,
            Err(refusal) => wire::write(&mut output, &Answer::Refused(refusal), &[])?,
        }
    }
    Ok(())
}

fn work(jobs: &Receiver<Job>, answers: &SyncSender<Result<Answered, Refusal>>, max_answer_bytes: usize) {
    while let Ok(job) = jobs.recv() {
        // The document lives and dies inside, so nothing half-changed is seen after a panic.
        let answer = panic::catch_unwind(|| match &job.question {
            Question::Content(request) => {
                let content = content(&job.body, request, max_answer_bytes)?;
                Ok((Answer::Content, [content, Vec::new()]))
            }
            Question::Change { before } => change(&job.body, *before as usize, max_answer_bytes),
        })
        .unwrap_or_else(|_| {
            let at = PANICKED_AT.lock().ok().and_then(|mut place| place.take()).unwrap_or_default();
            Err(Refusal::Unreadable(format!("panic at {at}")))
        });
        if answers.send(answer).is_err() {
            return;
        }
    }
}

fn content(update: &[u8], request: &ContentRequest, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut output = Limited::new(limit);
    Document::read(update)?.content(request, &mut output)?;
    Ok(output.into_bytes())
}

/// Reads the update behind the `before` bytes of JSON, and holds it against those.
fn change(body: &[u8], before: usize, limit: usize) -> Result<Answered, Refusal> {
    let (before, update) = body.split_at_checked(before).unwrap_or_default();
    let content = content(update, &ContentRequest::All, limit)?;
    // What is no text was not written by a worker; then everything differs from it.
    let (old, new) =
        (str::from_utf8(before).unwrap_or_default(), str::from_utf8(&content).unwrap_or_default());
    Ok(match difference::between(old, new) {
        Difference::None => (Answer::Unchanged, [Vec::new(), Vec::new()]),
        Difference::Whole => (Answer::Replaced, [content, Vec::new()]),
        Difference::Patch(patch) => {
            // Within the limit of answers, which a frame holds twice.
            let bytes = u32::try_from(content.len()).map_err(|_| Refusal::AnswerTooLarge)?;
            (Answer::Patched { content: bytes }, [content, patch])
        }
    })
}
