// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace triptych {

/// Opens /dev/null in place of standard streams that the caller has closed. Otherwise the first
/// files to be opened would get their numbers, and messages would be written into these files.
void open_standard_streams();

/// Writes out what was printed; throws io_error when standard output does not take it, so that
/// results lost to a full disk do not pass for success. A reader that has gone away is no error.
void flush_standard_output();

}  // namespace triptych
