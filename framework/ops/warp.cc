// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/warp.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/warp_kernel.h"
#include "framework/ops/warp_tensors.h"

#include <limits>

#include <ATen/ATen.h>
#include <Eigen/LU>
#include <torch/csrc/autograd/custom_function.h>

namespace triptych {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct HeldTask : torch::CustomClassHolder {
  explicit HeldTask(const WarpTask& held) : task(held) {}
  WarpTask task;
};

/// LibTorch's functions take no undefined tensors: an empty one stands for no field.
const float* values_or_null(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<float>() : nullptr;
}

/// Contiguous float32 on the CPU: image, and field or an empty tensor.
struct WarpFunction : torch::autograd::Function<WarpFunction> {
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& image,
                            const at::Tensor& field,
                            const c10::intrusive_ptr<HeldTask>& held) {
    context->save_for_backward({image, field});
    context->saved_data["task"] = c10::IValue::make_capsule(held);
    const WarpTask& task = held->task;
    at::Tensor result =
        at::empty({task.items, task.channels, task.target[0], task.target[1], task.target[2]},
                  image.options());
    warp_forward(task, image.data_ptr<float>(), values_or_null(field), result.data_ptr<float>());
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto held =
        c10::static_intrusive_pointer_cast<HeldTask>(context->saved_data["task"].toCapsule());
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    const float* out = gradient.data_ptr<float>();
    at::Tensor image_gradient, field_gradient;
    if (context->needs_input_grad(0)) {
      image_gradient = at::zeros_like(saved[0]);
      warp_image_gradient(
          held->task, values_or_null(saved[1]), out, image_gradient.data_ptr<float>());
    }
    if (saved[1].numel() > 0 && context->needs_input_grad(1)) {
      field_gradient = at::empty_like(saved[1]);
      warp_field_gradient(held->task,
                          saved[0].data_ptr<float>(),
                          saved[1].data_ptr<float>(),
                          out,
                          field_gradient.data_ptr<float>());
    }
    return {image_gradient, field_gradient, at::Tensor()};
  }
};

void store(const Eigen::Matrix3d& matrix, double (&out)[9]) {
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) out[3 * row + column] = matrix(row, column);
  }
}

/// u in mm; positions in voxels of the image.
SampleMap map_between(const Geometry& image_grid, const Geometry& grid) {
  if (image_grid.spacing_known != grid.spacing_known) {
    throw geometry_error(fmt::format("warp: expected both spacings to be known, got {} and {}",
                                     image_grid.text(),
                                     grid.text()),
                         "state the missing one");
  }
  const Eigen::Matrix3d from_mm = image_grid.step_mm().inverse();
  const Eigen::Vector3d offset = from_mm * (grid.origin - image_grid.origin);
  SampleMap map;
  store(from_mm * grid.step_mm(), map.index);
  store(from_mm, map.step);
  for (int axis = 0; axis < 3; ++axis) map.offset[axis] = offset[axis];
  return map;
}

void check_image(const at::Tensor& image, const Geometry& grid, const std::string& name) {
  check_shape(image, {kAny, kAny, grid.shape[0], grid.shape[1], grid.shape[2]}, name);
  check_valid(grid, name);
  if (grid.voxels() > std::numeric_limits<std::int32_t>::max()) {
    throw shape_error(
        fmt::format("{}: expected fewer than 2^31 voxels to warp, got {}", name, grid.text()),
        "warp it in parts");
  }
}

void check_items(const at::Tensor& image, const at::Tensor& displacement) {
  if (image.size(0) == displacement.size(0)) return;
  throw shape_error(fmt::format("warp: expected as many displacements as images ({}), got {}",
                                image.size(0),
                                displacement.size(0)));
}

WarpTask task_for(const at::Tensor& image,
                  const SampleMap& map,
                  const Index3& target,
                  const WarpOptions& options) {
  WarpTask task;
  task.items = image.size(0);
  task.channels = image.size(1);
  task.image = {image.size(2), image.size(3), image.size(4)};
  task.target = target;
  task.map = map;
  task.cubic = options.interpolation == WarpInterpolation::kCubic;
  task.edge = options.padding == WarpPadding::kEdge;
  return task;
}

bool runs_on_kernel(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

/// field [N, 3, D, H, W] or undefined.
at::Tensor run(const WarpTask& task, const at::Tensor& image, const at::Tensor& field) {
  if (!runs_on_kernel(image) || (field.defined() && !runs_on_kernel(field)))
    return warp_by_tensors(task, image, field);
  return WarpFunction::apply(image.contiguous(),
                             field.defined() ? field.contiguous() : at::empty({0}, image.options()),
                             c10::make_intrusive<HeldTask>(task));
}

/// matrix * field at every voxel.
at::Tensor transformed(const Eigen::Matrix3d& matrix, const at::Tensor& field) {
  const std::vector<at::Tensor> parts = field.unbind(1);
  std::vector<at::Tensor> result;
  for (int row = 0; row < 3; ++row)
    result.push_back(matrix(row, 0) * parts[0] + matrix(row, 1) * parts[1] +
                     matrix(row, 2) * parts[2]);
  return at::stack(result, 1);
}

}  // namespace

void check_displacement(const at::Tensor& displacement,
                        const Geometry& grid,
                        const std::string& name) {
  check_shape(displacement, {kAny, 3, grid.shape[0], grid.shape[1], grid.shape[2]}, name);
  check_valid(grid, name);
  if (!displacement.is_floating_point()) {
    throw shape_error(fmt::format(
        "{}: expected a floating type, got {}", name, at::toString(displacement.scalar_type())));
  }
}

at::Tensor warp(const at::Tensor& image,
                const Geometry& image_grid,
                const at::Tensor& displacement_mm,
                const Geometry& grid,
                const WarpOptions& options) {
  check_image(image, image_grid, "image to warp");
  check_displacement(displacement_mm, grid, "displacement");
  check_items(image, displacement_mm);
  return run(
      task_for(image, map_between(image_grid, grid), grid.shape, options), image, displacement_mm);
}

at::Tensor warp_voxels(const at::Tensor& image,
                       const at::Tensor& displacement_voxel,
                       const WarpOptions& options) {
  check_shape(image, {kAny, kAny, kAny, kAny, kAny}, "image to warp");
  Geometry grid;
  grid.shape = {image.size(2), image.size(3), image.size(4)};
  check_image(image, grid, "image to warp");
  check_displacement(displacement_voxel, grid, "displacement");
  check_items(image, displacement_voxel);
  return run(task_for(image, SampleMap{}, grid.shape, options), image, displacement_voxel);
}

at::Tensor warp_labels(const at::Tensor& labels,
                       const Geometry& labels_grid,
                       const at::Tensor& displacement_mm,
                       const Geometry& grid,
                       std::int64_t outside) {
  check_image(labels, labels_grid, "labels to warp");
  check_displacement(displacement_mm, grid, "displacement");
  check_items(labels, displacement_mm);
  if (labels.scalar_type() != at::kLong) {
    throw shape_error(
        fmt::format("labels to warp: expected int64, got {}", at::toString(labels.scalar_type())));
  }
  const at::NoGradGuard no_grad;
  const WarpTask task = task_for(labels, map_between(labels_grid, grid), grid.shape, {});
  at::Tensor offsets;
  if (runs_on_kernel(displacement_mm)) {
    offsets = at::empty({task.items, grid.voxels()}, labels.options());
    warp_nearest(
        task, displacement_mm.contiguous().data_ptr<float>(), offsets.data_ptr<std::int64_t>());
  } else {
    offsets = nearest_by_tensors(task, displacement_mm, task.items, displacement_mm.options());
  }
  const at::Tensor where = offsets.unsqueeze(1).expand({task.items, task.channels, -1});
  const at::Tensor values = labels.flatten(2).gather(2, where.clamp_min(0));
  return values.masked_fill(where < 0, outside)
      .view({task.items, task.channels, grid.shape[0], grid.shape[1], grid.shape[2]});
}

at::Tensor resample_to_grid(const at::Tensor& image,
                            const Geometry& image_grid,
                            const Geometry& grid,
                            const WarpOptions& options) {
  check_image(image, image_grid, "image to resample");
  check_valid(grid, "grid to resample to");
  return run(
      task_for(image, map_between(image_grid, grid), grid.shape, options), image, at::Tensor());
}

at::Tensor mm_from_voxels(const at::Tensor& displacement_voxel, const Geometry& grid) {
  check_displacement(displacement_voxel, grid, "displacement");
  return transformed(grid.step_mm(), displacement_voxel);
}

at::Tensor voxels_from_mm(const at::Tensor& displacement_mm, const Geometry& grid) {
  check_displacement(displacement_mm, grid, "displacement");
  return transformed(grid.step_mm().inverse(), displacement_mm);
}

}  // namespace triptych
