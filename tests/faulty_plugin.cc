// A PJRT plug-in that passes everything on to another one, but for the one thing that it does
// wrong, or in another way. FAULTY_PLUGIN_REAL: path of the other one; FAULTY_PLUGIN_FAULT: what
// goes wrong, see GetPjrtApi.

#include <dlfcn.h>
#include <pjrt_c_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace {

const PJRT_Api* real = nullptr;

struct OwnError {
  PJRT_Error_Code code;
  std::string message;
};

std::mutex mutex;
std::set<const void*> own_errors;

PJRT_Error* MakeError(PJRT_Error_Code code, const std::string& message) {
  const std::lock_guard lock(mutex);
  auto* error = new OwnError{code, message};
  own_errors.insert(error);
  return reinterpret_cast<PJRT_Error*>(error);
}

const OwnError* OwnErrorOf(const PJRT_Error* error) {
  const std::lock_guard lock(mutex);
  return own_errors.contains(error) ? reinterpret_cast<const OwnError*>(error) : nullptr;
}

void DestroyError(PJRT_Error_Destroy_Args* args) {
  if (OwnErrorOf(args->error) == nullptr) return real->PJRT_Error_Destroy(args);
  const std::lock_guard lock(mutex);
  own_errors.erase(args->error);
  delete reinterpret_cast<OwnError*>(args->error);
}

void ErrorMessage(PJRT_Error_Message_Args* args) {
  const OwnError* error = OwnErrorOf(args->error);
  if (error == nullptr) return real->PJRT_Error_Message(args);
  args->message = error->message.data();
  args->message_size = error->message.size();
}

PJRT_Error* ErrorCode(PJRT_Error_GetCode_Args* args) {
  const OwnError* error = OwnErrorOf(args->error);
  if (error == nullptr) return real->PJRT_Error_GetCode(args);
  args->code = error->code;
  return nullptr;
}

PJRT_Error* FailToExecute(PJRT_LoadedExecutable_Execute_Args*) {
  return MakeError(PJRT_Error_Code_INTERNAL, "the device caught fire");
}

// As a device whose memory holds batches of 100 rows: the last argument is one number for each row.
PJRT_Error* ExecuteSmallBatches(PJRT_LoadedExecutable_Execute_Args* args) {
  PJRT_Buffer_Dimensions_Args dimensions = {};
  dimensions.struct_size = PJRT_Buffer_Dimensions_Args_STRUCT_SIZE;
  dimensions.buffer = args->argument_lists[0][args->num_args - 1];
  PJRT_Error* error = real->PJRT_Buffer_Dimensions(&dimensions);
  if (error != nullptr) return error;
  if (dimensions.dims[0] > 100) {
    std::fprintf(stderr, "faulty plug-in: no memory for %d rows\n",
                 static_cast<int>(dimensions.dims[0]));
    return MakeError(PJRT_Error_Code_RESOURCE_EXHAUSTED,
                     "out of memory with " + std::to_string(dimensions.dims[0]) + " rows");
  }
  return real->PJRT_LoadedExecutable_Execute(args);
}

// The largest N of the module's types tensor<Nxi32>: its rows.
int RowsOf(const PJRT_Program& program) {
  const std::string text(program.code, program.code_size);
  int rows = 0;
  for (size_t at = text.find("tensor<"); at != std::string::npos;
       at = text.find("tensor<", at + 1)) {
    char* end = nullptr;
    const long extent = std::strtol(text.c_str() + at + 7, &end, 10);
    if (std::string(end, 5) == "xi32>") rows = std::max(rows, static_cast<int>(extent));
  }
  return rows;
}

PJRT_Error* OutOfMemoryFor(int rows) {
  std::fprintf(stderr, "faulty plug-in: no memory to compile %d rows\n", rows);
  return MakeError(PJRT_Error_Code_RESOURCE_EXHAUSTED,
                   "the program needs too much memory with " + std::to_string(rows) + " rows");
}

// As a compiler that knows the device's memory.
PJRT_Error* CompileSmallBatches(PJRT_Client_Compile_Args* args) {
  const int rows = RowsOf(*args->program);
  return rows > 100 ? OutOfMemoryFor(rows) : real->PJRT_Client_Compile(args);
}

PJRT_Error* CompileNothing(PJRT_Client_Compile_Args* args) {
  return OutOfMemoryFor(RowsOf(*args->program));
}

// As a device that has memory for three arrays.
PJRT_Error* UploadLittle(PJRT_Client_BufferFromHostBuffer_Args* args) {
  static int arrays = 0;
  if (++arrays > 3) return MakeError(PJRT_Error_Code_RESOURCE_EXHAUSTED, "device memory is full");
  return real->PJRT_Client_BufferFromHostBuffer(args);
}

// --- a plug-in that registers host memory ---

std::map<const char*, size_t> registered;  // by address: bytes
int registrations = 0;
int copies = 0;
size_t copied_bytes = 0;

PJRT_Error* StandInName(PJRT_Client_PlatformName_Args* args) {
  args->platform_name = "stand-in";
  args->platform_name_size = 8;
  return nullptr;
}

PJRT_Error* Register(PJRT_Client_DmaMap_Args* args) {
  const std::lock_guard lock(mutex);
  const auto* data = static_cast<const char*>(args->data);
  if (!registered.emplace(data, args->size).second) {
    std::fprintf(stderr, "faulty plug-in: registered twice\n");
  }
  ++registrations;
  return nullptr;
}

PJRT_Error* Unregister(PJRT_Client_DmaUnmap_Args* args) {
  const std::lock_guard lock(mutex);
  if (registered.erase(static_cast<const char*>(args->data)) == 0) {
    std::fprintf(stderr, "faulty plug-in: unregistered what was not registered\n");
  }
  if (registered.empty()) {
    std::fprintf(
        stderr,
        "faulty plug-in: %d blocks registered, %d copies of %zu bytes into them, none left\n",
        registrations, copies, copied_bytes);
  }
  return nullptr;
}

PJRT_Error* CopyToRegistered(PJRT_Buffer_ToHostBuffer_Args* args) {
  if (args->dst != nullptr) {
    const std::lock_guard lock(mutex);
    const auto* begin = static_cast<const char*>(args->dst);
    const auto block = registered.upper_bound(begin);
    const bool is_inside =
        block != registered.begin() &&
        begin + args->dst_size <= std::prev(block)->first + std::prev(block)->second;
    if (!is_inside) std::fprintf(stderr, "faulty plug-in: copied to memory not registered\n");
    ++copies;
    copied_bytes += args->dst_size;
  }
  return real->PJRT_Buffer_ToHostBuffer(args);
}

PJRT_Error* FailToRegister(PJRT_Client_DmaMap_Args*) {
  return MakeError(PJRT_Error_Code_UNIMPLEMENTED, "no memory is registered here");
}

// Nobody is ever told that something is done.
PJRT_Error* NeverReady(PJRT_Event_OnReady_Args*) { return nullptr; }

PJRT_Error* FailToCreateClient(PJRT_Client_Create_Args*) {
  return MakeError(PJRT_Error_Code_UNAVAILABLE, "the device is in use by another process");
}

}  // namespace

extern "C" const PJRT_Api* GetPjrtApi() {
  const char* path = std::getenv("FAULTY_PLUGIN_REAL");
  const char* value = std::getenv("FAULTY_PLUGIN_FAULT");
  const std::string fault = value == nullptr ? "" : value;
  if (path == nullptr || fault == "no-api") return nullptr;
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  real = reinterpret_cast<const PJRT_Api* (*)()>(dlsym(library, "GetPjrtApi"))();
  static PJRT_Api api;
  api = *real;
  api.struct_size = PJRT_Api_STRUCT_SIZE;
  api.PJRT_Error_Destroy = DestroyError;
  api.PJRT_Error_Message = ErrorMessage;
  api.PJRT_Error_GetCode = ErrorCode;
  if (fault == "old") api.pjrt_api_version.minor_version = 80;
  if (fault == "new-major") api.pjrt_api_version.major_version = 1;
  if (fault == "short-table") api.struct_size = offsetof(PJRT_Api, PJRT_Plugin_Initialize);
  if (fault == "no-devices-function") api.struct_size = offsetof(PJRT_Api, PJRT_Client_Devices);
  if (fault == "tiny-table") api.struct_size = sizeof(size_t);
  if (fault == "client-fails") api.PJRT_Client_Create = FailToCreateClient;
  if (fault == "execute-fails") api.PJRT_LoadedExecutable_Execute = FailToExecute;
  if (fault == "little-memory") api.PJRT_LoadedExecutable_Execute = ExecuteSmallBatches;
  if (fault == "compiler-with-little-memory") api.PJRT_Client_Compile = CompileSmallBatches;
  if (fault == "compiler-without-memory") api.PJRT_Client_Compile = CompileNothing;
  if (fault == "no-memory-for-weights") api.PJRT_Client_BufferFromHostBuffer = UploadLittle;
  if (fault == "registers" || fault == "fails-to-register") {
    api.PJRT_Client_PlatformName = StandInName;  // processors' memory is not registered
    api.PJRT_Client_DmaMap = fault == "registers" ? Register : FailToRegister;
    api.PJRT_Client_DmaUnmap = Unregister;
    if (fault == "registers") api.PJRT_Buffer_ToHostBuffer = CopyToRegistered;
  }
  if (fault == "hangs") api.PJRT_Event_OnReady = NeverReady;
  return &api;
}
