//! Files and folders that are there whole or not at all.
//!
//! Everything that is kept is made under the name of a draft and gets its own name once it is whole.
//! Invariants, whenever the program is killed or the power fails: whoever opens a name finds all of the
//! content or what was there before; the content is on disk before it has the name, and the name is on
//! disk when the call returns; a draft that was left behind is removed when the same name is written
//! again, or by [`remove_drafts`] where it is not, and one that another process still writes is not.
//!
//! | call | what has the name already |
//! |---|---|
//! | [`write_new`], [`Draft::put_new`], [`FolderDraft::put_new`], [`FolderDraft::put_file_new`] | stays, and the call fails |
//! | [`replace`], [`Draft::replace`], [`FolderDraft::replace_with_file`] | is replaced in one step |
//! | [`FolderDraft::replace`] | is replaced in one step where the system can exchange two names; elsewhere in two: killed between them, there is neither |
//! | [`remove_folder`] | is removed in one step |

mod class;
mod draft;
mod error;
mod read;

pub use class::{AnyClassified, Class, Classified};
pub use draft::{Draft, FolderDraft, Readers, remove_drafts, remove_folder, replace, write_new};
pub use error::FileError;
pub use read::{BYTE_ORDER_MARK, has_byte_order_mark, read_at_most};
