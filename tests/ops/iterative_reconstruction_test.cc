// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/iterative_reconstruction.h"

#include "framework/ops/attenuation.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/metal_artifact.h"

#include "tests/ops/ellipse_phantom.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>

namespace triptych {
namespace {

using Beam = ScanGeometry::Beam;
using Method = IterativeResult (*)(const at::Tensor&,
                                   const ScanGeometry&,
                                   const SliceGrid&,
                                   const IterativeOptions&);

struct MethodCase {
  const char* name;
  Method run;
  IterativeOptions options;
  double largest_residual;  ///< after 60 iterations on data that the slice explains exactly
};

/// A small slice and its own projections, which an iterative method can explain.
struct Solvable {
  explicit Solvable(Beam beam = Beam::kParallel)
      : scan(testing::covering_scan(beam, 40, 48)), grid(SliceGrid::centred(32, 32, 3.0)) {
    image = testing::ellipse_image(grid).to(at::kFloat).unsqueeze(0);
    projections = project(image, scan, 48, grid);
  }
  double error(const at::Tensor& x) const {
    return ((x - image).norm() / image.norm()).item<double>();
  }
  ScanGeometry scan;
  SliceGrid grid;
  at::Tensor image, projections;
};

class IterativeMethod : public ::testing::TestWithParam<MethodCase> {
 protected:
  IterativeResult run(const Solvable& problem, const IterativeOptions& options) const {
    return GetParam().run(problem.projections, problem.scan, problem.grid, options);
  }
};

TEST_P(IterativeMethod, ComesCloserToTheSliceInEveryGeometry) {
  for (const Beam beam : {Beam::kParallel, Beam::kFanFlat, Beam::kFanCurved}) {
    const Solvable problem(beam);
    IterativeOptions options = GetParam().options;
    options.iterations = 60;
    const IterativeResult result = run(problem, options);
    EXPECT_EQ(result.iterations(), 60);
    EXPECT_LT(result.residual.back(), GetParam().largest_residual);
    EXPECT_LT(result.residual.back(), 0.5 * result.residual[4]);
    options.iterations = 5;
    EXPECT_LT(problem.error(result.image), 0.6 * problem.error(run(problem, options).image));
  }
}

TEST_P(IterativeMethod, StopsAtTheResidualAsked) {
  const Solvable problem;
  IterativeOptions options = GetParam().options;
  options.iterations = 200;
  options.stop_residual = 0.03;
  const IterativeResult result = run(problem, options);
  ASSERT_LT(result.iterations(), 200);
  EXPECT_LE(result.residual.back(), 0.03);
  if (result.iterations() > 1) {
    EXPECT_GT(result.residual[result.residual.size() - 2], 0.03);
  }
}

TEST_P(IterativeMethod, ReportsProgressAndCanBeStoppedByIt) {
  const Solvable problem;
  std::vector<double> seen;
  IterativeOptions options = GetParam().options;
  options.progress = [&](int iteration, double residual) {
    seen.push_back(residual);
    return iteration < 3;
  };
  EXPECT_EQ(run(problem, options).residual, seen);
  EXPECT_EQ(seen.size(), 3U);
}

TEST_P(IterativeMethod, TreatsSlicesOneByOneAndEmptyOnesAsZero) {
  Solvable problem;
  IterativeOptions options = GetParam().options;
  options.iterations = 6;
  const at::Tensor alone = run(problem, options).image;
  problem.projections = at::cat(
      {problem.projections, at::zeros_like(problem.projections), 4.0 * problem.projections});
  const at::Tensor image = run(problem, options).image;
  EXPECT_TRUE(testing::near(image[0], alone[0], 1e-6));
  EXPECT_EQ(image[1].abs().max().item<float>(), 0.0F);
  if (options.tv_weight == 0.0) {
    EXPECT_TRUE(at::equal(image[2], 4.0 * image[0]));
  }
}

TEST_P(IterativeMethod, RefusesNan) {
  Solvable problem;
  problem.projections[0][3][5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(testing::error_message("numeric", [&] { run(problem, GetParam().options); }),
            "iterative reconstruction: projections hold NaN or infinite values");
}

IterativeOptions iterations(int count) {
  IterativeOptions options;
  options.iterations = count;
  return options;
}

IterativeOptions with(int subsets, double tv_weight) {
  IterativeOptions options;
  options.subsets = subsets;
  options.tv_weight = tv_weight;
  return options;
}

INSTANTIATE_TEST_SUITE_P(All,
                         IterativeMethod,
                         ::testing::Values(MethodCase{"Sirt", sirt, with(1, 0.0), 0.02},
                                           MethodCase{"Cgls", cgls, with(1, 0.0), 0.002},
                                           MethodCase{"OsSart", os_sart, with(8, 0.0), 0.01},
                                           MethodCase{"Tv", tv, with(1, 1e-4), 0.02},
                                           MethodCase{
                                               "IteratedFbp", iterated_fbp, with(1, 0.0), 0.02}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Sirt, OneSubsetIsTheSameMethod) {
  const Solvable problem;
  IterativeOptions options = iterations(5);
  options.subsets = 1;
  const at::Tensor expected = sirt(problem.projections, problem.scan, problem.grid, options).image;
  const at::Tensor actual = os_sart(problem.projections, problem.scan, problem.grid, options).image;
  EXPECT_TRUE(testing::near(actual, expected, 1e-6));
}

TEST(Sirt, CanKeepValuesFromBecomingNegative) {
  const Solvable problem;
  IterativeOptions options = iterations(30);
  EXPECT_LT(
      sirt(problem.projections, problem.scan, problem.grid, options).image.min().item<float>(),
      0.0F);
  options.non_negative = true;
  for (const Method method : {sirt, os_sart, tv, iterated_fbp}) {
    EXPECT_GE(
        method(problem.projections, problem.scan, problem.grid, options).image.min().item<float>(),
        0.0F);
  }
}

TEST(Cgls, SolvesTheNormalEquations) {
  const Solvable problem;
  const at::Tensor noisy = problem.projections + 0.05 * at::randn_like(problem.projections);
  const at::Tensor b = noisy.to(at::kDouble);
  const at::Tensor x = cgls(b, problem.scan, problem.grid, iterations(100)).image;
  const at::Tensor left = b - project(x, problem.scan, 48, problem.grid);
  const double gradient = back_project(left, problem.scan, problem.grid).norm().item<double>() /
                          back_project(b, problem.scan, problem.grid).norm().item<double>();
  EXPECT_LT(gradient, 1e-3);
}

TEST(IteratedFbp, UndoesTheBlurOfInterpolation) {
  const Solvable problem;
  const double once = problem.error(fbp(problem.projections, problem.scan, problem.grid));
  const auto error = [&](int count) {
    return problem.error(
        iterated_fbp(problem.projections, problem.scan, problem.grid, iterations(count)).image);
  };
  EXPECT_LT(error(2), 0.7 * once);
}

TEST(IteratedFbp, AddsWhatTheTrustedProjectionsAsk) {
  const Solvable problem(Beam::kFanFlat);
  at::Tensor metal = at::zeros({1, 32, 32});
  metal.slice(1, 12, 14).slice(2, 20, 22).fill_(1.0);
  IterativeOptions options = iterations(1);
  options.trusted = metal_trace(metal, problem.scan, 48, problem.grid).logical_not();
  options.relaxation = 0.5;
  const auto run = [&] {
    return iterated_fbp(problem.projections, problem.scan, problem.grid, options).image;
  };
  const at::Tensor first = fbp(problem.projections, problem.scan, problem.grid);
  const at::Tensor unexplained =
      (problem.projections - project(first, problem.scan, 48, problem.grid)) * options.trusted;
  const at::Tensor expected = first + 0.5 * fbp(unexplained, problem.scan, problem.grid);
  EXPECT_TRUE(testing::near(run(), expected, 1e-6));
  options.trusted = options.trusted.narrow(2, 0, 40);
  EXPECT_EQ(testing::error_message("shape", run),
            "iterative reconstruction: 'trusted' must be bool and of the projections' shape");
}

TEST(TotalVariation, BeatsLeastSquaresOnFewNoisyViews) {
  Solvable problem;
  problem.scan.angles_rad = testing::even_angles(12, std::numbers::pi);
  problem.projections = project(problem.image, problem.scan, 48, problem.grid);
  problem.projections += 0.02 * at::randn_like(problem.projections);
  IterativeOptions options;
  double best = 1.0;
  for (const int count : {3, 6, 12, 25}) {
    options.iterations = count;
    best = std::min(
        best, problem.error(cgls(problem.projections, problem.scan, problem.grid, options).image));
  }
  options.iterations = 300;
  options.tv_weight = 0.01;
  EXPECT_LT(problem.error(tv(problem.projections, problem.scan, problem.grid, options).image),
            0.7 * best);
}

TEST(IterativeOptions, OutOfRangeAreRefused) {
  const Solvable problem;
  const auto message = [&](Method method, const IterativeOptions& options) {
    return testing::error_message(
        "usage", [&] { method(problem.projections, problem.scan, problem.grid, options); });
  };
  EXPECT_EQ(message(cgls, iterations(0)),
            "iterative reconstruction: 'iterations' must be at least 1, got 0");
  IterativeOptions options;
  options.relaxation = 2.0;
  EXPECT_EQ(message(sirt, options),
            "iterative reconstruction: 'relaxation' must be between 0 and 2, got 2");
  EXPECT_EQ(message(os_sart, with(41, 0.0)),
            "iterative reconstruction: 'subsets' must be between 1 and the number of angles, got "
            "41");
  EXPECT_EQ(message(tv, with(1, -1.0)),
            "iterative reconstruction: 'tv_weight' must be at least 0, got -1");
}

TEST(Attenuation, IsHounsfieldUnitsAndBack) {
  const at::Tensor mu = at::tensor({0.0F, 0.206F, 0.412F});
  const at::Tensor hounsfield = hounsfield_from_attenuation(mu, 0.206);
  EXPECT_TRUE(testing::near(hounsfield, at::tensor({-1000.0F, 0.0F, 1000.0F}), 1e-3));
  EXPECT_TRUE(testing::near(attenuation_from_hounsfield(hounsfield, 0.206), mu, 1e-6));
  EXPECT_TRUE(testing::near(
      attenuation_from_hounsfield(at::tensor({-1000, 500}), 0.2), at::tensor({0.0F, 0.3F}), 1e-6));
  EXPECT_EQ(testing::error_message("data", [&] { hounsfield_from_attenuation(mu, 0.0); }),
            "attenuation of water: expected a positive value in 1/cm, got 0");
}

}  // namespace
}  // namespace triptych
