#include "plugins/plugin_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/json.h"

namespace thresher {
namespace {

// clang-format off
std::vector<PluginSpec> MakeCatalog() {
  return {
    {.name = "tpu",
     .description = "Google TPU: libtpu",
     .library = "libtpu/libtpu.so",
     .wheels = {
       {.package = "libtpu",
        .version = "0.0.42.1",
        .file = "libtpu-0.0.42.1-cp311-cp311-manylinux_2_31_x86_64.whl",
        .sha256 = "4d9975c446f594b0b517510b3db2fc9df65acd9a08f253c638fff5eb6bce163e"},
     },
     .needs = "a Google Cloud TPU VM; compiling for a TPU needs none"},
    {.name = "cuda",
     .description = "NVIDIA GPU, CUDA 12: XLA of JAX with NVIDIA's libraries",
     .library = "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
     .wheels = {
       {.package = "jax-cuda12-pjrt",
        .version = "0.10.2",
        .file = "jax_cuda12_pjrt-0.10.2-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "806d1fd29038b6acf5a2b289dd62192abea977ee26aef60ea295b1d28a23acf8"},
       {.package = "nvidia-cublas-cu12",
        .version = "12.9.3.13",
        .file = "nvidia_cublas_cu12-12.9.3.13-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72"},
       {.package = "nvidia-cuda-cupti-cu12",
        .version = "12.8.90",
        .file = "nvidia_cuda_cupti_cu12-12.8.90-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182"},
       {.package = "nvidia-cuda-nvcc-cu12",
        .version = "12.9.86",
        .file = "nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0"},
       {.package = "nvidia-cuda-nvrtc-cu12",
        .version = "12.9.86",
        .file = "nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"},
       {.package = "nvidia-cuda-runtime-cu12",
        .version = "12.9.79",
        .file = "nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"},
       {.package = "nvidia-cudnn-cu12",
        .version = "9.28.0.42",
        .file = "nvidia_cudnn_cu12-9.28.0.42-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375"},
       {.package = "nvidia-cufft-cu12",
        .version = "11.4.1.4",
        .file = "nvidia_cufft_cu12-11.4.1.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"},
       {.package = "nvidia-cusolver-cu12",
        .version = "11.7.5.82",
        .file = "nvidia_cusolver_cu12-11.7.5.82-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"},
       {.package = "nvidia-cusparse-cu12",
        .version = "12.5.10.65",
        .file = "nvidia_cusparse_cu12-12.5.10.65-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78"},
       {.package = "nvidia-nccl-cu12",
        .version = "2.32.3",
        .file = "nvidia_nccl_cu12-2.32.3-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c"},
       {.package = "nvidia-nvjitlink-cu12",
        .version = "12.9.86",
        .file = "nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9"},
       {.package = "nvidia-nvshmem-cu12",
        .version = "3.8.0",
        .file = "nvidia_nvshmem_cu12-3.8.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "b2e5760d6158aefe7bb74348d5128bb1b46a7dd1fd4b7b1e6fe55b4b07888f70"},
     },
     .needs = "an NVIDIA GPU with a driver from 525 on"},
    {.name = "cuda13",
     .description = "NVIDIA GPU, CUDA 13: XLA of JAX with NVIDIA's libraries",
     .library = "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
     .wheels = {
       {.package = "jax-cuda13-pjrt",
        .version = "0.10.2",
        .file = "jax_cuda13_pjrt-0.10.2-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "a97e9cabe0e21d8dbcc70bd909ca1c34cd546d3ce2d94b4cd907a8d4f6179f6a"},
       {.package = "nvidia-cublas",
        .version = "13.10.0.20",
        .file = "nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
        .sha256 = "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84"},
       {.package = "nvidia-cuda-crt",
        .version = "13.5.37",
        .file = "nvidia_cuda_crt-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29"},
       {.package = "nvidia-cuda-cupti",
        .version = "13.5.25",
        .file = "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_x86_64.whl",
        .sha256 = "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650"},
       {.package = "nvidia-cuda-nvcc",
        .version = "13.5.37",
        .file = "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7"},
       {.package = "nvidia-cuda-nvrtc",
        .version = "13.5.37",
        .file = "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc"},
       {.package = "nvidia-cuda-runtime",
        .version = "13.5.37",
        .file = "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d"},
       {.package = "nvidia-cudnn-cu13",
        .version = "9.28.1.4",
        .file = "nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec"},
       {.package = "nvidia-cufft",
        .version = "12.5.0.14",
        .file = "nvidia_cufft-12.5.0.14-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad"},
       {.package = "nvidia-cusolver",
        .version = "12.4.1.2",
        .file = "nvidia_cusolver-12.4.1.2-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "b3b8e02fd2f2df869369af075dc3a179d43f6f7b85e94632a7dce556697be044"},
       {.package = "nvidia-cusparse",
        .version = "12.9.4.2",
        .file = "nvidia_cusparse-12.9.4.2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "072667e58c851a318738f5527a12eb225cbf058803f2ea451c722d8cf8edddec"},
       {.package = "nvidia-nccl-cu13",
        .version = "2.32.3",
        .file = "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3"},
       {.package = "nvidia-nvjitlink",
        .version = "13.5.37",
        .file = "nvidia_nvjitlink-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"},
       {.package = "nvidia-nvshmem-cu13",
        .version = "3.8.0",
        .file = "nvidia_nvshmem_cu13-3.8.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        .sha256 = "81a4d1f666543e6d34df6d2ff940c7da1435e34e186aab6f3c2b48861b64ef38"},
       {.package = "nvidia-nvvm",
        .version = "13.5.37",
        .file = "nvidia_nvvm-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        .sha256 = "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070"},
     },
     .needs = "an NVIDIA GPU with a driver from 580 on"},
    {.name = "xla-cpu",
     .description = "this machine's CPU through XLA, for tests",
     .library = "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
     .wheels = {
       {.package = "lammps-jax-pjrt-cpu",
        .version = "0.11.2",
        .file = "lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl",
        .sha256 = "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1"},
     },
     .needs = "nothing"},
  };
}
// clang-format on

}  // namespace

const std::vector<PluginSpec>& PluginCatalog() {
  static const std::vector<PluginSpec> kCatalog = MakeCatalog();
  return kCatalog;
}

Result<PluginSpec> FindPluginSpec(std::string_view name) {
  std::vector<std::string> names;
  for (const PluginSpec& spec : PluginCatalog()) {
    if (spec.name == name) return spec;
    names.push_back(spec.name);
  }
  return InvalidArgument(
      fmt::format("there is no plug-in {}; there are {}", Quoted(name), fmt::join(names, ", ")));
}

std::string PipRequirements(const PluginSpec& spec) {
  std::string text;
  for (const Wheel& wheel : spec.wheels) {
    text += fmt::format("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
  }
  return text;
}

std::vector<std::string> PipTagOptions(const PluginSpec& spec) {
  // NAME-VERSION-PYTHON-ABI-PLATFORM.whl; each of the last three may be several, joined by dots.
  std::set<std::string> platforms;
  std::set<std::string> abis;
  for (const Wheel& wheel : spec.wheels) {
    const size_t platform = wheel.file.rfind('-') + 1;
    const size_t abi = wheel.file.rfind('-', platform - 2) + 1;
    abis.insert(wheel.file.substr(abi, platform - 1 - abi));
    std::string tags = wheel.file.substr(platform, wheel.file.rfind('.') - platform);
    for (size_t begin = 0; begin < tags.size();) {
      const size_t end = std::min(tags.find('.', begin), tags.size());
      platforms.insert(tags.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  // Wheels of one plug-in are for Python 3.11 or for any Python 3.
  std::vector<std::string> options = {"--only-binary=:all:", "--python-version=3.11",
                                      "--implementation=cp"};
  for (const std::string& abi : abis) options.push_back("--abi=" + abi);
  for (const std::string& platform : platforms) options.push_back("--platform=" + platform);
  return options;
}

}  // namespace thresher
