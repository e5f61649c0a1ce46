// SPDX-License-Identifier: Apache-2.0
#include "framework/report/html_report.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/json_text.h"
#include "framework/report/svg.h"

#include <algorithm>
#include <cstdint>

namespace triptych {
namespace {

// The page is also well-formed XML, so that a checker of XML can test it; hence no bare '<' or '&'
// in the script.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #24292f; --soft: #57606a; --paper: #ffffff;
  --line: #d8dee4; --panel: #f6f8fa; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #8b949e; --paper: #0d1117;
    --line: #30363d; --panel: #161b22; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { margin: 0 0 .2rem; font-size: 1.7rem; }
h2 { margin: 2.2rem 0 .6rem; padding-bottom: .2rem; font-size: 1.25rem;
  border-bottom: 1px solid var(--line); }
.subtitle, figcaption, caption { color: var(--soft); }
nav a { margin-right: 1rem; color: inherit; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img, figure svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: left; }
th.number, td.number { text-align: right; }
thead th { border-bottom: 2px solid var(--soft); }
details { margin: .8rem 0; }
summary { cursor: pointer; }
pre { background: var(--panel); padding: .8rem; overflow-x: auto; font-size: 12.5px;
  line-height: 1.4; }
.strip { overflow: hidden; max-width: 100%; }
.strip img { display: block; width: 100%; max-width: none; }
.slices input { width: 100%; max-width: 30rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .slices input { display: none; }
  figure, table { break-inside: avoid; }
  pre { white-space: pre-wrap; }
}
)";

constexpr const char* kSlider = R"(
document.querySelectorAll('.slices').forEach(function (figure) {
  var slider = figure.querySelector('input');
  var image = figure.querySelector('img');
  var output = figure.querySelector('output');
  var captions = JSON.parse(figure.dataset.captions);
  function show() {
    image.style.transform = 'translateY(' + (-100 * slider.value / captions.length) + '%)';
    output.textContent = captions[slider.value];
  }
  slider.disabled = false;
  slider.addEventListener('input', show);
  show();
});
)";

std::string caption_element(const std::string& element, const std::string& caption) {
  return caption.empty() ? "" : fmt::format("<{0}>{1}</{0}>\n", element, xml_escape(caption));
}

std::string image_element(const Picture& picture,
                          const std::string& alternative,
                          const std::string& style = "") {
  return fmt::format(R"(<img width="{}" height="{}" alt="{}"{} src="data:image/png;base64,{}"/>)",
                     picture.width,
                     picture.height,
                     xml_escape(alternative),
                     style.empty() ? std::string() : fmt::format(R"( style="{}")", style),
                     base64(encode_png(picture)));
}

/// All pictures on canvases of the same size, below one another.
Picture strip_of(const std::vector<Picture>& slices) {
  int width = 0;
  int height = 0;
  for (const Picture& slice : slices) {
    width = std::max(width, slice.width);
    height = std::max(height, slice.height);
  }
  Picture strip(width, height * static_cast<int>(slices.size()));
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const int top = height * static_cast<int>(i) + (height - slices[i].height) / 2;
    blit(strip, slices[i], (width - slices[i].width) / 2, top);
  }
  return strip;
}

}  // namespace

HtmlReport::HtmlReport(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlReport::add_section(const std::string& heading) {
  sections_.push_back(heading);
  body_ += fmt::format("<h2 id=\"section-{}\">{}</h2>\n", sections_.size(), xml_escape(heading));
}

void HtmlReport::add_paragraph(const std::string& text) {
  body_ += fmt::format("<p>{}</p>\n", xml_escape(text));
}

void HtmlReport::add_table(const Table& table, const std::string& caption) {
  const auto attribute = [&](std::size_t column) {
    return table.is_numeric(column) ? " class=\"number\"" : "";
  };
  body_ += "<table>\n" + caption_element("caption", caption) + "<thead><tr>";
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    body_ += fmt::format("<th{}>{}</th>", attribute(c), xml_escape(table.columns()[c].name));
  }
  body_ += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows().size(); ++r) {
    body_ += "<tr>";
    for (std::size_t c = 0; c < table.columns().size(); ++c) {
      body_ += fmt::format("<td{}>{}</td>", attribute(c), xml_escape(table.shown(r, c)));
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody>\n</table>\n";
}

void HtmlReport::add_chart(const std::string& svg, const std::string& caption) {
  body_ += "<figure>\n" + svg + caption_element("figcaption", caption) + "</figure>\n";
}

void HtmlReport::add_picture(const Picture& picture, const std::string& caption) {
  body_ += "<figure>" + image_element(picture, caption) + caption_element("figcaption", caption) +
           "</figure>\n";
}

void HtmlReport::add_slices(const std::vector<Picture>& slices,
                            const std::vector<std::string>& captions,
                            const std::string& caption) {
  TRIPTYCH_ASSERT(!slices.empty() && slices.size() == captions.size());
  const Picture strip = strip_of(slices);
  const std::size_t middle = slices.size() / 2;
  std::string list;
  for (const std::string& text : captions) list += (list.empty() ? "" : ", ") + json_string(text);
  const auto count = static_cast<double>(slices.size());
  body_ +=
      fmt::format(R"(<figure class="slices" data-captions="{}">)", xml_escape('[' + list + ']'));
  body_ += fmt::format("\n<div class=\"strip\" style=\"width:{}px;aspect-ratio:{}/{}\">",
                       strip.width,
                       strip.width,
                       strip.height / static_cast<int>(slices.size()));
  body_ += image_element(
      strip,
      caption,
      fmt::format("transform:translateY({:.6f}%)", -100.0 * static_cast<double>(middle) / count));
  body_ += fmt::format(
      "</div>\n<input type=\"range\" min=\"0\" max=\"{}\" value=\"{}\" disabled=\"disabled\" "
      "aria-label=\"slice\"/> "
      "<output>{}</output>\n",
      slices.size() - 1,
      middle,
      xml_escape(captions[middle]));
  body_ += caption_element("figcaption", caption) + "</figure>\n";
  has_slices_ = true;
}

void HtmlReport::add_text(const std::string& summary, const std::string& text, bool open) {
  body_ += fmt::format("<details{}><summary>{}</summary>\n<pre>{}</pre></details>\n",
                       open ? " open=\"open\"" : "",
                       xml_escape(summary),
                       xml_escape(text));
}

std::string HtmlReport::html() const {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n";
  page +=
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n";
  page += fmt::format(
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n", xml_escape(title_), kStyle);
  page += fmt::format("<h1>{}</h1>\n", xml_escape(title_));
  if (!subtitle_.empty())
    page += fmt::format("<p class=\"subtitle\">{}</p>\n", xml_escape(subtitle_));
  if (sections_.size() > 1) {
    page += "<nav>";
    for (std::size_t i = 0; i < sections_.size(); ++i) {
      page += fmt::format("<a href=\"#section-{}\">{}</a> ", i + 1, xml_escape(sections_[i]));
    }
    page += "</nav>\n";
  }
  page += body_;
  if (has_slices_) page += fmt::format("<script>{}</script>\n", kSlider);
  return page + "</body>\n</html>\n";
}

void HtmlReport::write(const std::filesystem::path& path) const {
  write_file_atomically(path, html());
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<std::uint8_t>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k)
      text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace triptych
