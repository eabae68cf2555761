{{/* Release `runtime` gives the plain names. Room is left for the endings that objects add. */}}
{{- define "runtime.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What pods are found by. Never more: a label that changes with the chart's version would restart every bot. */}}
{{- define "runtime.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "runtime.labels" -}}
{{ include "runtime.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* All labels of an object that has more of its own: a list of the context and those, which win. */}}
{{- define "runtime.labelsWith" -}}
{{ merge (deepCopy (index . 1 | default dict)) (include "runtime.labels" (index . 0) | fromYaml) | toYaml }}
{{- end }}

{{/* A reference from a list of an image's values and the tag where they have none. */}}
{{- define "runtime.reference" -}}
{{- $image := index . 0 -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "runtime.account" -}}
{{ .Values.serviceAccount.name | default (include "runtime.name" .) }}
{{- end }}

{{/* The pods' own, and short ones for a lost node unless they say something about that themselves. */}}
{{- define "runtime.tolerations" -}}
{{- $all := .Values.pod.tolerations | default list -}}
{{- $keys := list -}}
{{- range $all }}{{ $keys = append $keys (toString .key) }}{{ end -}}
{{- $seconds := .Values.pod.lostNodeSeconds -}}
{{- range $key := list "node.kubernetes.io/not-ready" "node.kubernetes.io/unreachable" -}}
{{- if not (or (kindIs "invalid" $seconds) (has $key $keys)) -}}
{{- $all = append $all (dict "key" $key "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" (int64 $seconds)) -}}
{{- end -}}
{{- end -}}
{{- if $all }}{{ toYaml $all }}{{ end -}}
{{- end }}

{{/* Over zones and nodes, as far as there is room: where it is short, a pod on a full node is better than none. */}}
{{- define "runtime.spread" -}}
{{- if kindIs "invalid" .Values.pod.topologySpreadConstraints -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "runtime.selector" $ | nindent 6 }}
{{- end -}}
{{- else if .Values.pod.topologySpreadConstraints -}}
{{ toYaml .Values.pod.topologySpreadConstraints }}
{{- end -}}
{{- end }}
