// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/append_file.h"
#include "framework/report/metric_sink.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace triptych {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as TFRecord files use it.
std::uint32_t crc32c(std::string_view bytes);

/// A TensorBoard event file `events.out.tfevents.<unix time>.<host>.<process>.<n>` with values, PNG
/// pictures and texts.
///
/// The messages are encoded by hand, so that no second copy of Protocol Buffers meets the one in
/// LibTorch. Values are stored as 32-bit floats. A resumed run begins a new file in the same
/// folder; its first event tells TensorBoard to forget what older files say about later steps.
class TensorBoardSink final : public MetricSink {
 public:
  explicit TensorBoardSink(const std::filesystem::path& folder,
                           std::optional<std::int64_t> resume_step = {});
  void write(const MetricRow& row) override;
  void flush() override;
  void write_picture(std::int64_t step, const std::string& tag, const Picture& picture) override;
  /// Shown as Markdown.
  void write_text(std::int64_t step, const std::string& tag, const std::string& markdown) override;
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  AppendFile file_;
};

}  // namespace triptych
