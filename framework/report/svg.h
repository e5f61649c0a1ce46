// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace triptych {

/// Text for XML and HTML content and attributes: markup is escaped, characters that XML 1.0 forbids
/// and bytes that are no UTF-8 become U+FFFD.
std::string xml_escape(std::string_view text);

enum class Anchor { kStart, kMiddle, kEnd };

struct SvgPoint {
  double x = 0;
  double y = 0;
};

/// Builds one SVG picture. Ink, grid and paper follow the reader's light or dark scheme, and are
/// light in print; all rules are scoped to the class `triptych-chart`, so that many charts can
/// stand in one HTML page.
class SvgCanvas {
 public:
  SvgCanvas(double width, double height, std::string_view title);

  /// A line in the colour of the text (`ink`) or of the grid (`grid`).
  void line(SvgPoint from, SvgPoint to, std::string_view css_class);
  /// A stroke through the points; `dash` as in stroke-dasharray, or empty.
  void polyline(const std::vector<SvgPoint>& points,
                std::string_view colour,
                std::string_view dash = "",
                double opacity = 1.0);
  /// A filled disc; the tooltip is shown on hovering.
  void disc(SvgPoint centre, double radius, std::string_view colour, std::string_view tooltip = "");
  /// A circle with paper inside.
  void ring(SvgPoint centre, double radius, std::string_view colour, std::string_view tooltip = "");
  /// An invisible disc that only carries a tooltip.
  void hover_area(SvgPoint centre, double radius, std::string_view tooltip);
  void rectangle(SvgPoint corner,
                 double width,
                 double height,
                 std::string_view colour,
                 std::string_view tooltip = "",
                 double opacity = 1.0);
  /// `colour` empty: ink. `rotation_deg` turns the text about its anchor, clockwise.
  void text(SvgPoint at,
            std::string_view content,
            Anchor anchor = Anchor::kStart,
            double rotation_deg = 0,
            std::string_view colour = "");
  void heading(SvgPoint at, std::string_view content);
  /// Bold text with a halo in the colour of the paper, legible over curves.
  void remark(SvgPoint at, std::string_view content, Anchor anchor, std::string_view colour);

  /// The whole document, to be called once.
  std::string finish() &&;

 private:
  void shape(const std::string& element, std::string_view attributes, std::string_view tooltip);
  std::string body_;
};

/// Width in pixels that a text of the charts' font size needs at most, judged by its length.
double estimated_text_width(std::string_view utf8);

}  // namespace triptych
