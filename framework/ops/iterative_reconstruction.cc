// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/iterative_reconstruction.h"

#include "framework/core/error.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/forward_difference.h"
#include "framework/ops/slice_tensors.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr int kNormIterations = 8;
constexpr double kGradientNorm = 2.8284271247461903;  ///< sqrt(8) bounds forward differences in 2D

void check_range(bool fits, const char* name, double value, const char* expected) {
  if (fits) return;
  throw usage_error(
      fmt::format("iterative reconstruction: '{}' must be {}, got {}", name, expected, value));
}

void check_options(const IterativeOptions& options) {
  check_range(options.iterations >= 1, "iterations", options.iterations, "at least 1");
  check_range(options.stop_residual >= 0.0, "stop_residual", options.stop_residual, "at least 0");
  check_range(options.relaxation > 0.0 && options.relaxation < 2.0,
              "relaxation",
              options.relaxation,
              "between 0 and 2");
  check_range(options.tv_weight >= 0.0, "tv_weight", options.tv_weight, "at least 0");
}

double two_norm(const at::Tensor& x) { return x.to(at::kDouble).norm().item<double>(); }

/// 1 / (A 1) or 1 / (A' 1) of one slice, 0 where nothing passes.
at::Tensor inverse_sums(const at::Tensor& sums) {
  const double smallest = 1e-6 * sums.max().item<double>();
  return at::where(sums > smallest, sums.reciprocal(), at::zeros_like(sums));
}

/// What every method begins with, and the course of its iterations. Gradients are off meanwhile.
class Run {
 public:
  Run(const at::Tensor& projections,
      const ScanGeometry& scan,
      const SliceGrid& grid,
      const IterativeOptions& options)
      : options_(options), like_(projections) {
    check_options(options);
    check_projections(projections, scan);
    measured =
        as_slices(projections.detach(), projections.size(-2), projections.size(-1), "projections");
    start = at::zeros({measured.size(0), grid.rows, grid.columns}, measured.options());
    measured_norm_ = two_norm(measured);
    if (!std::isfinite(measured_norm_))
      throw numeric_error("iterative reconstruction: projections hold NaN or infinite values");
  }

  /// Notes an iteration's |A x - b|; true when another may follow.
  bool goes_on(double difference) {
    const double residual = measured_norm_ > 0.0 ? difference / measured_norm_ : 0.0;
    result_.residual.push_back(residual);
    const bool wanted = !options_.progress || options_.progress(result_.iterations(), residual);
    return wanted && residual > options_.stop_residual &&
           result_.iterations() < options_.iterations;
  }

  IterativeResult finish(const at::Tensor& image) {
    result_.image = with_leading_axes(image, like_);
    return std::move(result_);
  }

  at::Tensor measured;  ///< projections of all slices [slices, A, W]
  at::Tensor start;     ///< zeros [slices, H, W]

 private:
  at::NoGradGuard no_grad_;
  const IterativeOptions& options_;
  at::Tensor like_;
  double measured_norm_ = 0.0;
  IterativeResult result_;
};

/// Where slices of projections do not count, bool [slices, A, W]; undefined when all do.
at::Tensor not_trusted(const at::Tensor& projections, const at::Tensor& trusted) {
  if (!trusted.defined()) return trusted;
  if (trusted.scalar_type() != at::kBool || trusted.sizes() != projections.sizes()) {
    throw shape_error(
        "iterative reconstruction: 'trusted' must be bool and of the projections' shape");
  }
  return trusted.logical_not().view({-1, projections.size(-2), projections.size(-1)});
}

/// A subset of the angles with its weights for a simultaneous step.
struct SimultaneousStep {
  SimultaneousStep(const ScanGeometry& scan, const SliceGrid& grid, const at::Tensor& projections)
      : measured(projections), a(make_projector(scan, projections.size(2), grid)) {
    const at::Tensor one_view = at::ones_like(projections.narrow(0, 0, 1));
    columns = inverse_sums(a->apply_adjoint(one_view));
    rows = inverse_sums(a->apply(at::ones({1, grid.rows, grid.columns}, projections.options())));
  }

  /// x += relaxation C A' R difference, where `difference` = b - A x.
  void update(at::Tensor& x, const at::Tensor& difference, const IterativeOptions& options) const {
    x.add_(columns * a->apply_adjoint(rows * difference), options.relaxation);
    if (options.non_negative) x.clamp_min_(0.0);
  }

  at::Tensor measured;
  std::shared_ptr<const LinearOperator> a;
  at::Tensor rows, columns;  ///< R [1, A, W] and C [1, H, W]
};

std::vector<SimultaneousStep> subset_steps(const at::Tensor& projections,
                                           const ScanGeometry& scan,
                                           const SliceGrid& grid,
                                           int subsets) {
  const auto angles = static_cast<std::int64_t>(scan.angles_rad.size());
  check_range(
      subsets >= 1 && subsets <= angles, "subsets", subsets, "between 1 and the number of angles");
  std::vector<SimultaneousStep> steps;
  for (int subset = 0; subset < subsets; ++subset) {
    ScanGeometry part = scan;
    part.angles_rad.clear();
    for (std::int64_t angle = subset; angle < angles; angle += subsets)
      part.angles_rad.push_back(scan.angles_rad[static_cast<std::size_t>(angle)]);
    const at::Tensor measured =
        projections.slice(1, subset, std::numeric_limits<std::int64_t>::max(), subsets);
    steps.emplace_back(part, grid, measured.contiguous());
  }
  return steps;
}

/// Sum of squares of each slice, [slices, 1, 1].
at::Tensor energy(const at::Tensor& x) { return x.square().sum({1, 2}, true, at::kDouble); }

/// a / b as float of x's type; 0 where b is 0, which happens in slices that are solved.
at::Tensor ratio(const at::Tensor& a, const at::Tensor& b, const at::Tensor& x) {
  return at::where(b > 0.0, a / b, at::zeros_like(a)).to(x.scalar_type());
}

/// An upper bound of |A|: with v > 0, the largest (A' A v) / v bounds the largest eigenvalue of the
/// non-negative matrix A' A (Collatz and Wielandt), and power iterations make it tight.
double projector_norm(const LinearOperator& a, const at::Tensor& one_slice) {
  at::Tensor v = at::ones_like(one_slice);
  double bound = 0.0;
  for (int i = 0; i < kNormIterations; ++i) {
    const at::Tensor next = a.apply_adjoint(a.apply(v));
    const at::Tensor seen = v > 1e-6 * v.max();
    bound = at::where(seen, next / v, at::zeros_like(v)).max().item<double>();
    v = next / next.max();
  }
  return std::sqrt(bound);
}

/// Forward differences along columns and rows of x [slices, H, W]: [2, slices, H, W].
at::Tensor slice_gradient(const at::Tensor& x) {
  return at::stack({forward_difference(x, 2), forward_difference(x, 1)});
}

at::Tensor slice_gradient_adjoint(const at::Tensor& q) {
  at::Tensor result = at::zeros_like(q[0]);
  add_divergence(result, q[0], /*axis=*/2, /*factor=*/-1.0);
  add_divergence(result, q[1], /*axis=*/1, /*factor=*/-1.0);
  return result;
}

}  // namespace

IterativeResult sirt(const at::Tensor& projections,
                     const ScanGeometry& scan,
                     const SliceGrid& grid,
                     const IterativeOptions& options) {
  Run run(projections, scan, grid, options);
  const SimultaneousStep step(scan, grid, run.measured);
  at::Tensor x = run.start, difference = run.measured;
  do {
    step.update(x, difference, options);
    difference = run.measured - step.a->apply(x);
  } while (run.goes_on(two_norm(difference)));
  return run.finish(x);
}

IterativeResult cgls(const at::Tensor& projections,
                     const ScanGeometry& scan,
                     const SliceGrid& grid,
                     const IterativeOptions& options) {
  Run run(projections, scan, grid, options);
  const auto a = make_projector(scan, run.measured.size(2), grid);
  at::Tensor x = run.start, difference = run.measured.clone();
  at::Tensor descent = a->apply_adjoint(difference), direction = descent;
  at::Tensor descent_energy = energy(descent);
  bool more = true;
  while (more) {
    const at::Tensor projected = a->apply(direction);
    const at::Tensor length = ratio(descent_energy, energy(projected), x);
    x += length * direction;
    difference -= length * projected;
    more = run.goes_on(two_norm(difference));
    descent = a->apply_adjoint(difference);
    const at::Tensor next_energy = energy(descent);
    direction = descent + ratio(next_energy, descent_energy, x) * direction;
    descent_energy = next_energy;
  }
  return run.finish(x);
}

IterativeResult os_sart(const at::Tensor& projections,
                        const ScanGeometry& scan,
                        const SliceGrid& grid,
                        const IterativeOptions& options) {
  Run run(projections, scan, grid, options);
  const std::vector<SimultaneousStep> steps =
      subset_steps(run.measured, scan, grid, options.subsets);
  at::Tensor x = run.start;
  double squares = 0.0;
  do {
    squares = 0.0;
    for (const SimultaneousStep& step : steps) {
      const at::Tensor difference = step.measured - step.a->apply(x);
      squares += std::pow(two_norm(difference), 2);
      step.update(x, difference, options);
    }
  } while (run.goes_on(std::sqrt(squares)));
  return run.finish(x);
}

IterativeResult iterated_fbp(const at::Tensor& projections,
                             const ScanGeometry& scan,
                             const SliceGrid& grid,
                             const IterativeOptions& options) {
  Run run(projections, scan, grid, options);
  const at::Tensor lost = not_trusted(projections, options.trusted);
  const auto a = make_projector(scan, run.measured.size(2), grid);
  at::Tensor x = fbp(run.measured, scan, grid);
  const auto keep_range = [&] {
    if (options.non_negative) x.clamp_min_(0.0);
  };
  const auto unexplained = [&] {
    at::Tensor difference = run.measured - a->apply(x);
    return lost.defined() ? difference.masked_fill_(lost, 0.0) : difference;
  };
  keep_range();
  at::Tensor difference = unexplained();
  do {
    x.add_(fbp(difference, scan, grid), options.relaxation);
    keep_range();
    difference = unexplained();
  } while (run.goes_on(two_norm(difference)));
  return run.finish(x);
}

IterativeResult tv(const at::Tensor& projections,
                   const ScanGeometry& scan,
                   const SliceGrid& grid,
                   const IterativeOptions& options) {
  Run run(projections, scan, grid, options);
  const auto a = make_projector(scan, run.measured.size(2), grid);
  const double a_norm = projector_norm(*a, run.start.narrow(0, 0, 1));
  const double scale = a_norm / kGradientNorm, largest = options.tv_weight / scale;
  const double step = 1.0 / (std::sqrt(2.0) * a_norm);
  at::Tensor x = run.start, projected = at::zeros_like(run.measured);
  at::Tensor ahead = x, projected_ahead = projected;
  at::Tensor p = at::zeros_like(projected), q = at::zeros_like(slice_gradient(x));
  do {
    p = (p + step * (projected_ahead - run.measured)) / (1.0 + step);
    q = q + step * scale * slice_gradient(ahead);
    const at::Tensor length = q.square().sum(0, true).sqrt();
    q = largest > 0.0 ? q / (length / largest).clamp_min(1.0) : at::zeros_like(q);
    at::Tensor next = x - step * (a->apply_adjoint(p) + scale * slice_gradient_adjoint(q));
    if (options.non_negative) next.clamp_min_(0.0);
    const at::Tensor next_projected = a->apply(next);
    ahead = 2.0 * next - x;
    projected_ahead = 2.0 * next_projected - projected;
    x = next;
    projected = next_projected;
  } while (run.goes_on(two_norm(projected - run.measured)));
  return run.finish(x);
}

}  // namespace triptych
