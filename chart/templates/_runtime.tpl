{{/* The container of the runtime itself. The socket is open to its group, 10001. */}}
{{- define "runtime.runtime" -}}
- name: runtime
  image: {{ include "runtime.reference" (list .Values.image .Chart.AppVersion) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  ports:
    - name: http
      containerPort: 8080
  env:
    {{- range $name, $field := dict "POD_NAME" "metadata.name" "NAMESPACE" "metadata.namespace" "POD_UID" "metadata.uid" "NODE_NAME" "spec.nodeName" }}
    - name: {{ $name }}
      valueFrom:
        fieldRef:
          fieldPath: {{ $field }}
    {{- end }}
    - name: MONGO_URI
      valueFrom:
        secretKeyRef:
          name: {{ .Values.mongodb.existingSecret | default (printf "%s-mongodb" (include "runtime.name" .)) }}
          key: {{ ternary .Values.mongodb.secretKey "MONGO_URI" (not (empty .Values.mongodb.existingSecret)) }}
    - name: DB_NAME
      value: {{ .Values.mongodb.database | quote }}
    - name: COLLECTION_NAME
      value: {{ .Values.mongodb.collection | quote }}
    - name: MAX_SEGMENT
      value: {{ int64 .Values.bots.maxSegment | quote }}
    - name: COORDINATION
      value: kubernetes
    - name: DEPLOYMENT_NAME
      value: {{ include "runtime.name" . }}
    - name: LEASE_LOCK_NAME
      value: {{ include "runtime.name" . }}
    - name: SCALING_CONFIGMAP
      value: {{ include "runtime.name" . }}-scaling
    - name: DOCKER_HOST
      value: unix:///run/docker-socket/docker.sock
    - name: FENCE_DIR
      value: /run/bot-runner
    - name: STATE_DIR
      value: /var/lib/bot-runner
    - name: HTTP_PORT
      value: "8080"
    - name: MAX_STOP_GRACE_SECONDS
      value: {{ int64 .Values.bots.maxStopGraceSeconds | quote }}
    - name: MAX_BOTS_PER_WORKER
      value: {{ int64 .Values.bots.maxPerWorker | quote }}
    - name: START_CONCURRENCY
      value: {{ int64 .Values.bots.startConcurrency | quote }}
    - name: BACKLOG_PATIENCE_SECONDS
      value: {{ int64 .Values.bots.backlogPatienceSeconds | quote }}
    - name: LOG_LEVEL
      value: {{ .Values.runtime.logLevel | quote }}
    - name: ENABLE_METRICS_ENDPOINT
      value: {{ .Values.runtime.segmentsEndpoint | quote }}
    - name: TIMINGS
      value: {{ .Values.runtime.timings | quote }}
    {{- if .Values.mongodb.tls.existingSecret }}
    {{- if .Values.mongodb.tls.caKey }}
    - name: MONGO_TLS_CA_FILE
      value: /etc/bot-runner/mongodb/ca.pem
    {{- end }}
    {{- if .Values.mongodb.tls.certKey }}
    - name: MONGO_TLS_CERT_FILE
      value: /etc/bot-runner/mongodb/client.pem
    {{- end }}
    {{- end }}
    {{- if .Values.registryAuthSecret }}
    - name: REGISTRY_AUTH_FILE
      value: /etc/bot-runner/registry/.dockerconfigjson
    {{- end }}
    {{- with .Values.runtime.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  livenessProbe:
    httpGet:
      path: /healthz
      port: http
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  # A latch, so that what makes a busy pod look unready is only a slow answer, and slow answers are borne: unready pods are
  # the first that a scale-down takes.
  readinessProbe:
    httpGet:
      path: /readyz
      port: http
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 15
  resources:
    {{- toYaml .Values.runtime.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: fence
      mountPath: /run/bot-runner
    - name: socket
      mountPath: /run/docker-socket
      readOnly: true
    - name: state
      mountPath: /var/lib/bot-runner
    - name: account
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- if .Values.mongodb.tls.existingSecret }}
    - name: mongodb-tls
      mountPath: /etc/bot-runner/mongodb
      readOnly: true
    {{- end }}
    {{- if .Values.registryAuthSecret }}
    - name: registry-auth
      mountPath: /etc/bot-runner/registry
      readOnly: true
    {{- end }}
    {{- with .Values.runtime.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
