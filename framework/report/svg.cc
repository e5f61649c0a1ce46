// SPDX-License-Identifier: Apache-2.0
#include "framework/report/svg.h"

#include "framework/report/table.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace triptych {
namespace {

constexpr double kFontSize = 12;
constexpr const char* kAnchors[] = {"start", "middle", "end"};

constexpr const char* kStyle =
    ".triptych-chart{background:#fff;font:12px system-ui,'DejaVu Sans',sans-serif}"
    ".triptych-chart text{fill:#24292f}"
    ".triptych-chart .ink{stroke:#57606a}"
    ".triptych-chart .grid{stroke:#d8dee4}"
    ".triptych-chart .paper{fill:#fff}"
    ".triptych-chart .halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"
    "@media screen and (prefers-color-scheme:dark){"
    ".triptych-chart{background:#0d1117}"
    ".triptych-chart text{fill:#e6edf3}"
    ".triptych-chart .ink{stroke:#8b949e}"
    ".triptych-chart .grid{stroke:#30363d}"
    ".triptych-chart .paper{fill:#0d1117}"
    ".triptych-chart .halo{stroke:#0d1117}}";

// Two decimals are a fiftieth of a pixel; whole numbers lose their zeros.
std::string coordinate(double value) {
  std::string text = fmt::format("{:.2f}", std::isfinite(value) ? value : 0.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

/// Length of the valid UTF-8 sequence at the front of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool beyond_unicode = lead == 0xf4 && byte(1) >= 0x90;
  const bool not_a_character = lead == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe;
  return overlong || surrogate || beyond_unicode || not_a_character ? 0 : length;
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const char c = text[0];
    if (length == 0 ||
        (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r')) {
      escaped += "\xef\xbf\xbd";
    } else if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else if (c == '\'') {
      escaped += "&#39;";
    } else {
      escaped += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return escaped;
}

SvgCanvas::SvgCanvas(double width, double height, std::string_view title)
    : body_(fmt::format(
          R"(<svg xmlns="http://www.w3.org/2000/svg" class="triptych-chart" role="img" )"
          R"(width="{0}" height="{1}" viewBox="0 0 {0} {1}">)"
          "\n<title>{2}</title>\n<style>{3}</style>\n",
          coordinate(width),
          coordinate(height),
          xml_escape(title),
          kStyle)) {
  shape(
      "rect",
      fmt::format(R"(class="paper" width="{}" height="{}")", coordinate(width), coordinate(height)),
      "");
}

void SvgCanvas::shape(const std::string& element,
                      std::string_view attributes,
                      std::string_view tooltip) {
  body_ += fmt::format("<{} {}", element, attributes);
  body_ += tooltip.empty() ? std::string("/>\n")
                           : fmt::format("><title>{}</title></{}>\n", xml_escape(tooltip), element);
}

void SvgCanvas::line(SvgPoint from, SvgPoint to, std::string_view css_class) {
  shape("line",
        fmt::format(R"(class="{}" x1="{}" y1="{}" x2="{}" y2="{}")",
                    css_class,
                    coordinate(from.x),
                    coordinate(from.y),
                    coordinate(to.x),
                    coordinate(to.y)),
        "");
}

void SvgCanvas::polyline(const std::vector<SvgPoint>& points,
                         std::string_view colour,
                         std::string_view dash,
                         double opacity) {
  std::string list;
  for (const SvgPoint& point : points) {
    list +=
        fmt::format("{}{},{}", list.empty() ? "" : " ", coordinate(point.x), coordinate(point.y));
  }
  shape(
      "polyline",
      fmt::format(
          R"(fill="none" stroke="{}" stroke-width="1.8" stroke-linejoin="round"{}{} points="{}")",
          colour,
          opacity < 1 ? fmt::format(R"( stroke-opacity="{}")", coordinate(opacity)) : std::string(),
          dash.empty() ? std::string() : fmt::format(R"( stroke-dasharray="{}")", dash),
          list),
      "");
}

void SvgCanvas::disc(SvgPoint centre,
                     double radius,
                     std::string_view colour,
                     std::string_view tooltip) {
  shape("circle",
        fmt::format(R"(cx="{}" cy="{}" r="{}" fill="{}")",
                    coordinate(centre.x),
                    coordinate(centre.y),
                    coordinate(radius),
                    colour),
        tooltip);
}

void SvgCanvas::ring(SvgPoint centre,
                     double radius,
                     std::string_view colour,
                     std::string_view tooltip) {
  shape("circle",
        fmt::format(R"(class="paper" cx="{}" cy="{}" r="{}" stroke="{}" stroke-width="2")",
                    coordinate(centre.x),
                    coordinate(centre.y),
                    coordinate(radius),
                    colour),
        tooltip);
}

void SvgCanvas::hover_area(SvgPoint centre, double radius, std::string_view tooltip) {
  shape("circle",
        fmt::format(R"(cx="{}" cy="{}" r="{}" fill-opacity="0")",
                    coordinate(centre.x),
                    coordinate(centre.y),
                    coordinate(radius)),
        tooltip);
}

void SvgCanvas::rectangle(SvgPoint corner,
                          double width,
                          double height,
                          std::string_view colour,
                          std::string_view tooltip,
                          double opacity) {
  shape("rect",
        fmt::format(R"(x="{}" y="{}" width="{}" height="{}" fill="{}"{})",
                    coordinate(corner.x),
                    coordinate(corner.y),
                    coordinate(std::max(width, 0.0)),
                    coordinate(std::max(height, 0.0)),
                    colour,
                    opacity < 1 ? fmt::format(R"( fill-opacity="{}")", coordinate(opacity))
                                : std::string()),
        tooltip);
}

void SvgCanvas::text(SvgPoint at,
                     std::string_view content,
                     Anchor anchor,
                     double rotation_deg,
                     std::string_view colour) {
  std::string attributes = fmt::format(R"(x="{}" y="{}" text-anchor="{}")",
                                       coordinate(at.x),
                                       coordinate(at.y),
                                       kAnchors[static_cast<int>(anchor)]);
  if (rotation_deg != 0) {
    attributes += fmt::format(" transform=\"rotate({} {} {})\"",
                              coordinate(rotation_deg),
                              coordinate(at.x),
                              coordinate(at.y));
  }
  // A style, because the rule of the style sheet outweighs a fill attribute.
  if (!colour.empty()) attributes += fmt::format(R"( style="fill:{}")", colour);
  body_ += fmt::format("<text {}>{}</text>\n", attributes, xml_escape(content));
}

void SvgCanvas::heading(SvgPoint at, std::string_view content) {
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text>\n",
                       coordinate(at.x),
                       coordinate(at.y),
                       xml_escape(content));
}

void SvgCanvas::remark(SvgPoint at,
                       std::string_view content,
                       Anchor anchor,
                       std::string_view colour) {
  body_ += fmt::format(R"(<text class="halo" x="{}" y="{}" text-anchor="{}" font-weight="600" )"
                       R"(style="fill:{}">{}</text>)"
                       "\n",
                       coordinate(at.x),
                       coordinate(at.y),
                       kAnchors[static_cast<int>(anchor)],
                       colour,
                       xml_escape(content));
}

std::string SvgCanvas::finish() && { return std::move(body_) + "</svg>\n"; }

double estimated_text_width(std::string_view utf8) {
  constexpr double kMeanAdvance = 0.58;  // of the font size, generous for mixed text
  return kMeanAdvance * kFontSize * static_cast<double>(shown_width(utf8));
}

}  // namespace triptych
