//! What the rollup tells, on the terminal.

use std::sync::{Arc, Mutex, PoisonError};

use rollup::event::{Event, Watch};

use crate::ui::{Task, Ui};

/// Shows tasks as they begin and end, one within another, and notes as lines.
pub fn watch(ui: Ui) -> Watch {
    let tasks: Mutex<Vec<Task>> = Mutex::new(Vec::new());
    Arc::new(move |event| {
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begun(work, steps) => tasks.push(ui.task(work.to_string(), steps)),
            Event::At(steps) => {
                if let Some(task) = tasks.last() {
                    task.at(steps);
                }
            }
            Event::Doing(what) => {
                if let Some(task) = tasks.last() {
                    task.doing(what.to_string());
                }
            }
            Event::Ended => {
                if let Some(task) = tasks.pop() {
                    task.done();
                }
            }
            Event::Note(note) => ui.note(note.to_string()),
        }
    })
}
