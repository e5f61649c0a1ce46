// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/picture.h"
#include "framework/report/table.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace triptych {

/// Builds report.html: one file with everything in it, readable without a network, on light and
/// dark screens and in print. All texts are escaped; parts appear in the order in which they are
/// added.
class HtmlReport {
 public:
  explicit HtmlReport(std::string title, std::string subtitle = "");

  /// Begins a section, which also appears in the table of contents.
  void add_section(const std::string& heading);
  void add_paragraph(const std::string& text);
  void add_table(const Table& table, const std::string& caption = "");
  /// `svg` is the document that svg_of(...) returned; it becomes part of the page as it is.
  void add_chart(const std::string& svg, const std::string& caption = "");
  void add_picture(const Picture& picture, const std::string& caption = "");
  /// Pictures of equal meaning (the slices of a case) behind a slider. Without scripts, and in
  /// print, the middle one.
  void add_slices(const std::vector<Picture>& slices,
                  const std::vector<std::string>& captions,
                  const std::string& caption = "");
  /// A text in fixed pitch (resolved configuration, run.json) that folds away.
  void add_text(const std::string& summary, const std::string& text, bool open = false);

  std::string html() const;
  void write(const std::filesystem::path& path) const;

 private:
  std::string title_;
  std::string subtitle_;
  std::vector<std::string> sections_;
  std::string body_;
  bool has_slices_ = false;
};

/// RFC 4648, with padding.
std::string base64(std::string_view bytes);

}  // namespace triptych
