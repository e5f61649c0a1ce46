// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace triptych {

/// Progress of long work on stderr: one line rewritten on a terminal, a plain line every ten
/// seconds elsewhere.
class Progress {
 public:
  Progress(std::string what, std::int64_t total, std::int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` units are finished; `detail` is shown behind rate and time left.
  void update(std::int64_t done, const std::string& detail = "");
  /// Ends the line, so that other output starts on a line of its own.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::int64_t total_;
  std::int64_t first_;
  Clock::time_point start_;
  Clock::time_point last_shown_;
  bool terminal_;
  bool line_open_ = false;
};

/// "1 h 02 min", "3 min 20 s", "4.2 s".
std::string duration_text(double seconds);

}  // namespace triptych
