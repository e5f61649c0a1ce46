// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/report/axis.h"
#include "framework/report/box_chart.h"
#include "framework/report/line_chart.h"
#include "framework/report/matrix_chart.h"

#include "tests/report/scratch.h"

#include <cmath>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Empty if xmllint accepts the document, or is not installed.
std::string complaint_of_xmllint(const std::string& xml) {
  static const bool installed = program_exists("xmllint");
  if (!installed) return "";
  const ScratchFolder scratch;
  write_file_atomically(scratch / "x.svg", xml);
  return run_command("xmllint --noout --nonet '" + (scratch / "x.svg").string() + "'").output;
}

std::vector<std::string> labels_of(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) labels.push_back(tick.label);
  return labels;
}

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(Axis, LinearTicksAreNiceAndCoverTheData) {
  EXPECT_EQ(labels_of(linear_axis(0.13, 0.97)),
            (std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(labels_of(linear_axis(-3, 4, 4)), (std::vector<std::string>{"-5", "0", "5"}));
  EXPECT_EQ(labels_of(linear_axis(0, 4e7, 3)), (std::vector<std::string>{"0", "2e+07", "4e+07"}));
}

TEST(Axis, ConstantDataGetRoomAround) {
  for (const double value : {0.0, 3.0, -1e-9, 1e12}) {
    const Axis axis = linear_axis(value, value);
    EXPECT_LT(axis.lo, value);
    EXPECT_GT(axis.hi, value);
    EXPECT_GE(axis.ticks.size(), 2u);
  }
}

TEST(Axis, LogTicksCoverTheDataWithFewOrManyDecades) {
  for (const auto& [lo, hi] :
       {std::pair{0.2, 0.3}, {0.05, 20.0}, {1e-12, 1e9}, {1.0, 1.0}, {1e-3, 1e3}}) {
    const Axis axis = log_axis(lo, hi);
    EXPECT_LE(axis.lo, lo * (1 + 1e-9));
    EXPECT_GE(axis.hi, hi * (1 - 1e-9));
    EXPECT_GE(axis.ticks.size(), 2u) << lo << " to " << hi;
    EXPECT_LE(axis.ticks.size(), 9u);
    EXPECT_NEAR(axis.fraction(axis.lo), 0, 1e-12);
    EXPECT_NEAR(axis.fraction(axis.hi), 1, 1e-12);
  }
}

TEST(LineChart, IsValidXmlWithLegendTooltipsAndBestPoint) {
  LineChart chart{.title = "a < b & \"c\"", .x_label = "step", .y_label = "loss"};
  chart.series = {{.name = "train <x>", .x = {1, 2, 3}, .y = {3, 1, 2}, .best = Best::kLowest}};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, HasSubstr("<title>a &lt; b &amp; &quot;c&quot;</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>best train &lt;x&gt;: 1 at step 2</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>train &lt;x&gt;: 3 at step 1</title>"));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
}

TEST(LineChart, NotANumberInterruptsTheCurveAndNeverReachesTheFile) {
  LineChart chart;
  chart.series = {{.name = "a", .x = {1, 2, 3, 4, 5}, .y = {1, 2, kNan, 4, INFINITY}}};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_EQ(count_of(svg, "<polyline"),
            2u);  // the legend and the run from 1 to 2; the lone 4 is a disc
}

TEST(LineChart, LogAxisLeavesOutWhatIsNotPositive) {
  LineChart chart{.log_y = true};
  chart.series = {{.name = "a", .x = {1, 2, 3, 4}, .y = {0.01, -1, 0, 100}}};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(LineChart, WithoutDrawableDataSaysSo) {
  LineChart chart;
  EXPECT_THAT(svg_of(chart), HasSubstr("no data"));
  chart.series = {{.name = "a", .x = {1}, .y = {kNan}}};
  EXPECT_THAT(svg_of(chart), HasSubstr("no data"));
}

TEST(LineChart, LongCurvesAreThinnedButKeepTheirSpikes) {
  Series series{.name = "long"};
  for (int i = 0; i < 200000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 77777 ? 100.0 : std::sin(i));
  }
  LineChart chart;
  chart.series = {series};
  const std::string svg = svg_of(chart);
  EXPECT_LT(svg.size(), 100'000u);
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
}

TEST(BoxChart, StatisticsAgreeWithAHandComputedExample) {
  // 1..9 and 30: quartiles at positions 2.25 and 6.75 of the sorted values.
  const BoxStatistics box = box_statistics({9, 1, 2, 3, 4, 5, 6, 7, 8, 30});
  EXPECT_DOUBLE_EQ(box.lower_quartile, 3.25);
  EXPECT_DOUBLE_EQ(box.median, 5.5);
  EXPECT_DOUBLE_EQ(box.upper_quartile, 7.75);
  EXPECT_DOUBLE_EQ(box.mean, 7.5);
  EXPECT_DOUBLE_EQ(box.lower_whisker, 1);
  EXPECT_DOUBLE_EQ(box.upper_whisker, 9);
  EXPECT_EQ(box.outliers, std::vector<double>{30});
}

TEST(BoxChart, IsValidXmlAndCountsWhatIsNotFinite) {
  BoxChart chart{.title = "Dice", .y_label = "Dice"};
  chart.groups = {{"bone", {0.5, 0.75, kNan, 1}}, {"nothing", {}}, {"one", {0.25}}};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(
      svg,
      HasSubstr("bone: median 0.75, quartiles 0.625 to 0.875, mean 0.75, 3 values, 1 not finite"));
  EXPECT_THAT(svg_of(BoxChart{}), HasSubstr("no data"));
}

TEST(BarChart, BarsBeginAtZeroAlsoForNegativeValues) {
  BarChart chart{.categories = {"a", "b"}, .series = {{"x", {1, -1}}, {"y", {kNan, 0.5}}}};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, HasSubstr("<title>b, x: -1</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(MatrixChart, ShowsSharesOfTheRowAndCountsAsTooltips) {
  MatrixChart chart{.title = "Confusion"};
  chart.row_names = chart.column_names = {"bone", "Mg & co", "empty"};
  chart.values = {3, 1, 0, 0, 1, 100000, 0, 0, 0};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, HasSubstr(">75.0</text>"));
  EXPECT_THAT(svg, HasSubstr("reference bone, prediction Mg &amp; co: 1 of 4 (25.0 %)"));
  EXPECT_THAT(svg, HasSubstr("&lt;0.01"));
}

TEST(MatrixChart, ShowsPlainValuesWhereAsked) {
  MatrixChart chart{
      .title = "encoder_0", .row_label = "receives", .column_label = "gives", .shares = false};
  chart.row_names = chart.column_names = {"bone", "pair"};
  chart.values = {0.9, -0.05, NAN, 0.95};
  const std::string svg = svg_of(chart);
  EXPECT_EQ(complaint_of_xmllint(svg), "");
  EXPECT_THAT(svg, HasSubstr(">-0.05</text>"));
  EXPECT_THAT(svg, HasSubstr("receives bone, gives bone: 0.9"));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("nan")));
}

TEST(XmlEscape, RemovesWhatXmlForbids) {
  EXPECT_EQ(xml_escape("<a b='c'>&</a>"), "&lt;a b=&#39;c&#39;&gt;&amp;&lt;/a&gt;");
  EXPECT_EQ(xml_escape("tab\tkept"), "tab\tkept");
  EXPECT_EQ(xml_escape(std::string("\0\x1b", 2)), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(xml_escape("µ\xff\xc3"), "µ\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(complaint_of_xmllint(
                "<a>" + xml_escape("\xed\xa0\x80 \xef\xbf\xbf \xf4\x90\x80\x80 \xc0\x80") + "</a>"),
            "");
}

}  // namespace
}  // namespace triptych
